"""Fuzz the decoder: any bytes of a service end in a result or one of our errors.

Run it with `make fuzz`, or by hand:

    python tests/fuzz/fuzz_decode.py -max_total_time=60       # any libFuzzer option
    python tests/fuzz/fuzz_decode.py build/fuzz/crash-...     # one input again

The emulator makes the corpus in build/fuzz/corpus: the right, mutated and failed reply of each operation. The first
byte of an input chooses the operation, the second the HTTP status; the rest is the body. Without atheris (no wheel for
this Python) a plain random mutator runs instead, which finds less.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import atheris
except ImportError:
    atheris = None

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["octopus_soap"]) if atheris else contextlib.nullcontext():
    from octopus_soap import BatchError, BatchResult, OctopusClient, OctopusError, OctopusSettings
    from octopus_soap.wire.decode import Reply
    from tests.catalogue import ROWS, Row, seed
    from tests.inside import exchange_by, forget_batch_sizes, prove_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "fuzz"
STATUSES = (200, 200, 200, 500, 202, 400, 401, 429, 503, 404, 302)
SECONDS = 60
SLOW = 2.0  # seconds for one reply of a few kilobytes


def make_corpus(folder: Path) -> Path:
    """Write a file per operation and condition, made by the emulator."""
    from octopus_soap.emulator import ApiFailure, Emulator, Fault, Html, Lie

    conditions: list[tuple[Any, ...]] = [
        (),
        (ApiFailure(),),
        (Fault("internal"),),
        (Fault("deserialization"),),
        (Html(),),
    ]
    conditions += [
        (Lie(kind),)
        for kind in (
            "reordered-members",
            "extra-member",
            "other-namespace",
            "other-prefix",
            "derived-type",
            "nil-row",
            "duplicate-row",
            "leading-blanks",
            "missing-status",
            "bad-scalar",
        )
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with Emulator() as service, OctopusClient(settings=_settings(**service.settings())) as client:
        for number, condition in enumerate(conditions):
            service.reset()
            seed(service)
            service.script.on("*").do(*condition)
            for place, call in enumerate(ROWS):
                with contextlib.suppress(OctopusError):
                    call(client)
                body = service.calls[-1].reply
                status = STATUSES.index(500) if service.calls[-1].status == 500 else 0
                (folder / f"{call}-{number:02d}").write_bytes(bytes([place, status]) + body)
    return folder


def _settings(**given: Any) -> OctopusSettings:
    return OctopusSettings.load(**{"max_attempts": 1, "backoff_base": 0.0, **given})


class Target:
    """Answers a call with the fuzzer's bytes, and checks the result or error."""

    def __init__(self) -> None:
        endpoint = "http://127.0.0.1:9/OctopusService.svc"
        self._client = OctopusClient(
            settings=_settings(endpoint=endpoint, authtoken="t", merchantname="m", accessid="a")
        )
        prove_credentials(self._client)
        self._reply = Reply(200, {})
        exchange_by(self._client, lambda *_, **__: self._reply)  # the fuzzer is the network

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        call, status = ROWS[data[0] % len(ROWS)], STATUSES[data[1] % len(STATUSES)]
        self._reply = Reply(status, {"content-type": "text/xml"}, data[2:], 0.0)
        forget_batch_sizes(self._client)
        started = time.monotonic()
        try:
            answer: Any = call(self._client)
        except OctopusError as error:
            _check_error(error)
            answer = error.result if isinstance(error, BatchError) else None
        _check(call, answer)
        assert time.monotonic() - started < SLOW, "slow"


def _check_error(error: OctopusError) -> None:
    assert type(error).__module__ == "octopus_soap.errors", error
    assert len(str(error)) < 1000, len(str(error))


def _check(call: Row, answer: Any) -> None:
    if call.is_list and isinstance(answer, BatchResult):
        assert [outcome.key for outcome in answer.outcomes] == list(call.keys), "each input has exactly one outcome"


def _mutated(corpus: list[bytes], rng: random.Random) -> Iterator[bytes]:
    while True:
        body = bytearray(rng.choice(corpus))
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(body) + 1)
            end = min(len(body), place + rng.randint(1, 60))
            match rng.randrange(4):
                case 0 if place < len(body):
                    body[place] ^= 1 << rng.randrange(8)
                case 1:
                    del body[place:end]
                case 2:
                    body[place:place] = body[place:end]
                case _:
                    other = rng.choice(corpus)
                    start = rng.randrange(len(other))
                    body[place:end] = other[start : start + rng.randint(1, 60)]
        yield bytes(body)


def _without_atheris(target: Target, corpus: Path) -> None:
    print("atheris is not installed (it may have no wheel for this Python): a plain random mutator runs instead")  # noqa: T201 - a script that prints
    given = next((option for option in sys.argv if option.startswith("-max_total_time=")), f"={SECONDS}")
    until = time.monotonic() + float(given.partition("=")[2])
    seeds, count = [path.read_bytes() for path in sorted(corpus.iterdir())], 0
    for data in _mutated(seeds, random.Random(0)):
        try:
            target(data)
        except BaseException:
            crash = WORK / "crash-plain"
            crash.write_bytes(data)
            print(f"the input is in {crash}")  # noqa: T201 - a script that prints
            raise
        count += 1
        if time.monotonic() > until:
            break
    print(f"{count} inputs, no crash")  # noqa: T201 - a script that prints


def main() -> None:
    """Fuzz with the options given, or run the inputs given."""
    files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    target = Target()
    if files:
        for name in files:
            target(Path(name).read_bytes())
            print(f"{name}: fine")  # noqa: T201 - a script that prints
        return
    corpus = make_corpus(WORK / "corpus")
    if atheris is None:
        _without_atheris(target, corpus)
        return
    options = [f"-artifact_prefix={WORK}/", "-timeout=10", "-print_final_stats=1", *sys.argv[1:]]
    if not any(option.startswith("-max_total_time=") for option in options):
        options.append(f"-max_total_time={SECONDS}")
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
