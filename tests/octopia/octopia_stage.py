"""Tools for stepping flows: a clock without real time, a caller for both clients."""

import asyncio
from typing import Any

from octopus_soap.octopia import AsyncOctopiaClient, OctopiaClient, OctopiaSettings, TokenCache
from octopus_soap.octopia.effects import Reply, Send, Sleep, Wait


class Timer:
    """Seconds that pass only by sleeping or `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Caller:
    """Calls operations by name on a blocking or an asyncio client."""

    def __init__(self, mode: str, credentials: Any, settings: OctopiaSettings, timer: Timer) -> None:
        self.mode, self.timer = mode, timer
        common: dict[str, Any] = {
            "settings": settings,
            "tokens": TokenCache(clock=timer),
            "clock": timer,
            "jitter": lambda low, high: high,
        }
        self.runner = asyncio.Runner() if mode == "async" else None
        self.client: Any = (
            AsyncOctopiaClient(credentials, sleep=timer.asleep, **common)
            if mode == "async"
            else OctopiaClient(credentials, sleep=timer.sleep, **common)
        )

    def __call__(self, name: str, *args: Any, client: Any = None, **kwargs: Any) -> Any:
        result = getattr(client or self.client, name)(*args, **kwargs)
        return self.runner.run(result) if self.runner else result

    def listed(self, name: str, *args: Any, client: Any = None, **kwargs: Any) -> list[Any]:
        result = getattr(client or self.client, name)(*args, **kwargs)
        if self.runner is None:
            return list(result)

        async def gather() -> list[Any]:
            return [item async for item in result]

        return self.runner.run(gather())

    def close(self) -> None:
        if self.runner is None:
            self.client.close()
        else:
            self.runner.run(self.client.close())
            self.runner.close()


def step(flow: Any, answer: Any) -> Any:
    """Run a flow with *answer* for its effects; returned exceptions are thrown in."""
    try:
        effect = next(flow)
        while True:
            given = answer(effect)
            effect = flow.throw(given) if isinstance(given, BaseException) else flow.send(given)
    except StopIteration as stop:
        return stop.value


def in_memory(service: Any, timer: Timer) -> Any:
    """Return a function that answers effects from *service* without a socket."""

    def answer(effect: Any) -> Any:
        if isinstance(effect, Sleep):
            timer.sleep(effect.seconds)
            return None
        if isinstance(effect, Wait):
            return False
        assert isinstance(effect, Send)
        request = effect.request
        secret = {name.lower(): value.get_secret_value() for name, value in request.secret_headers.items()}
        headers = {name.lower(): value for name, value in request.headers.items()} | secret
        target = "/" + request.url.split("/", 3)[3]
        body = request.body.get_secret_value() if request.body else b""
        given = service.handle(request.method, target, headers, body)
        lower = {name.lower(): value for name, value in given.headers.items()}
        return Reply(status=given.status, headers=lower, body=given.body)

    return answer
