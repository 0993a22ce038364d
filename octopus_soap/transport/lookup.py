"""Combine look-ups of single SKUs into list calls.

A web page or a queue worker asks for one SKU at a time, and the service answers up to 500 in one request. `Lookup`
(threads) and `AsyncLookup` (tasks) collect the look-ups that arrive together, send them as one list call, and keep the
answers for a while.

Invariants:

* A SKU is under way at most once: a second look-up of it waits for the same answer.
* A look-up gets the answer or the error of its own SKU. An invalid SKU is refused before it joins a request, and an
  item that fails does not fail the others.
* If a caller gives up (Ctrl-C in a thread, a cancelled task), the others still get their answers.
* Memory is bounded: at most `max_items` answers of each kind are kept, and the least recently used are dropped first.
  Errors are not kept.

There is no background thread and no background task. One of the waiting threads sends for all, and then passes that
role on. Of the tasks, the first of a group starts the group's request.

If a whole request fails, each look-up in it raises its own copy of the error; the next look-up of the SKU asks again.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakSet

from octopus_soap.engine.inputs import sku_problems
from octopus_soap.errors import BatchError, ConfigError, InvalidInputError, OctopusError, RejectedError, TransportError
from octopus_soap.results import OutcomeStatus
from octopus_soap.transport.limiter import POLL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from octopus_soap.client import AsyncOctopusClient, OctopusClient
    from octopus_soap.models import InventoryItem, QuantityInfoResponse
    from octopus_soap.results import BatchResult, ItemOutcome

T = TypeVar("T")

_EXISTS, _ITEM, _QUANTITY = "is_sku_exist_list", "get_item_list", "get_item_quantity_list"
_LIMITS = {_EXISTS: 500, _ITEM: 100, _QUANTITY: 100}
"""SKUs per request, as the vendor's page limits them."""


@dataclass(frozen=True, slots=True)
class LookupCounts:
    """The numbers of a `Lookup` or `AsyncLookup` since it was made.

    Attributes:
        asked: look-ups, without refused ones.
        cached: look-ups answered from memory.
        joined: look-ups that waited for an answer already asked for.
        requests: list calls made.
        sent: SKUs in those calls.
    """

    asked: int = 0
    cached: int = 0
    joined: int = 0
    requests: int = 0
    sent: int = 0


class _Slot(Generic[T]):
    """One SKU that is asked for, shared by all look-ups that wait for it."""

    __slots__ = ("done", "error", "event", "key", "sent", "value", "waiting")

    def __init__(self, key: str, event: Any) -> None:
        self.key = key
        self.event = event
        self.sent = self.done = False
        self.waiting = 0
        self.value: T | None = None
        self.error: OctopusError | None = None

    def result(self) -> T | None:
        """Return the answer, or raise the error."""
        if self.error is not None:
            error = copy.copy(self.error)  # several callers raise it, each with its own traceback
            error.__cause__ = self.error.__cause__
            raise error
        return self.value


class _Queue(Generic[T]):
    """The look-ups of one kind: answers kept, SKUs to ask, SKUs under way.

    It neither sends nor waits; its owner locks it. At most *limit* SKUs are asked per request, and *max_items* answers
    are kept, for *ttl* seconds.
    """

    def __init__(self, limit: int, ttl: float, max_items: int, clock: Callable[[], float]) -> None:
        self._limit, self._ttl, self._max, self._clock = limit, ttl, max_items, clock
        self._kept: OrderedDict[str, tuple[float, T | None]] = OrderedDict()
        self.pending: dict[str, _Slot[T]] = {}
        self._sent: dict[str, _Slot[T]] = {}
        self.under_way = 0
        self.gathering = False
        self.asked = self.cached = self.joined = self.requests = self.sent = 0

    def find(self, sku: str, max_age: float | None) -> tuple[bool, T | None]:
        """Return (True, answer) if a young enough answer is kept, else (False, None)."""
        self.asked += 1
        found = self._kept.get(sku)
        if found is None or self._clock() - found[0] >= min(self._ttl, self._ttl if max_age is None else max_age):
            return False, None
        self._kept.move_to_end(sku)
        self.cached += 1
        return True, found[1]

    def join(self, sku: str, make_event: Callable[[], Any]) -> _Slot[T]:
        """Return the slot of *sku*: the one already waited for, or a new one."""
        slot = self.pending.get(sku) or self._sent.get(sku)
        if slot is None:
            slot = self.pending[sku] = _Slot(sku, make_event())
        else:
            self.joined += 1
        slot.waiting += 1
        return slot

    def leave(self, slot: _Slot[T]) -> None:
        """Note that a caller has its answer, or gave up."""
        slot.waiting -= 1
        if not slot.waiting and self.pending.get(slot.key) is slot:
            del self.pending[slot.key]  # no look-up waits for it any longer

    @property
    def full(self) -> bool:
        """True if a whole request is pending."""
        return len(self.pending) >= self._limit

    def take(self) -> list[_Slot[T]]:
        """Take the slots of the next request, oldest first."""
        batch = [self.pending.pop(key) for key in list(self.pending)[: self._limit]]
        for slot in batch:
            slot.sent = True
            self._sent[slot.key] = slot
        self.under_way += 1
        self.requests += 1
        self.sent += len(batch)
        return batch

    def settle(self, batch: Sequence[_Slot[T]], answers: Mapping[str, T | OctopusError | None]) -> None:
        """Give each slot its answer or error, and keep the answers."""
        self.under_way -= 1
        now = self._clock()
        for slot in batch:
            self._sent.pop(slot.key, None)
            answer = answers.get(slot.key)
            slot.done = True
            if isinstance(answer, OctopusError):
                slot.error = answer
                continue
            slot.value = answer
            if self._ttl > 0:
                self._kept[slot.key] = now, answer
                self._kept.move_to_end(slot.key)
        while len(self._kept) > self._max:
            self._kept.popitem(last=False)

    def give_back(self, batch: Sequence[_Slot[T]]) -> None:
        """Put the slots of an interrupted request back in front: others wait for them."""
        self.under_way -= 1
        for slot in batch:
            self._sent.pop(slot.key, None)
            slot.sent = False
        self.pending = {**{slot.key: slot for slot in batch if slot.waiting}, **self.pending}

    def reset(self) -> None:
        """Drop what is pending and under way: the waiting threads or tasks are gone."""
        self.pending.clear()
        self._sent.clear()
        self.under_way, self.gathering = 0, False

    def forget(self, sku: str | None) -> None:
        """Drop the kept answer of *sku*, or all of them."""
        if sku is None:
            self._kept.clear()
        else:
            self._kept.pop(sku, None)


def _answers(keys: Sequence[str], result: BatchResult[Any]) -> dict[str, Any]:
    """Return the answer or the error of each SKU."""
    found = {outcome.key: _answer(outcome) for outcome in result.outcomes}
    return {key: found.get(key, TransportError(f"{key!r} was not answered")) for key in keys}


def _answer(outcome: ItemOutcome[Any]) -> Any:
    if outcome.status is OutcomeStatus.OK:
        return outcome.value
    if outcome.status is OutcomeStatus.MISSING:
        return None
    if outcome.status is OutcomeStatus.REJECTED:
        return RejectedError(f"{outcome.key!r}: {outcome.message}", key=outcome.key)
    return outcome.error or TransportError(f"{outcome.key!r} was not asked: the request before it ended the call")


def _failed(keys: Sequence[str], error: OctopusError) -> dict[str, Any]:
    """Return the answer or the error of each SKU of a call that raised *error*."""
    if isinstance(error, BatchError):
        return _answers(keys, error.result)
    return dict.fromkeys(keys, error)


def _check_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < float("inf"):
        raise ConfigError(f"{name} must be a number from {least} up, not {value!r}")


def _check(sku: str) -> None:
    if problems := sku_problems(sku, "sku"):
        raise InvalidInputError(problems)


class _Lookups:
    """The settings, queues and counts of both kinds of look-up."""

    def __init__(
        self,
        ttl: float,
        max_items: int,
        gather_seconds: float,
        parallel: int,
        clock: Callable[[], float],
    ) -> None:
        for name, value, least in (
            ("ttl", ttl, 0),
            ("max_items", max_items, 1),
            ("gather_seconds", gather_seconds, 0),
            ("parallel", parallel, 1),
        ):
            _check_number(name, value, least)
        self._gather, self._parallel = gather_seconds, int(parallel)
        self._queues: dict[str, _Queue[Any]] = {
            name: _Queue(limit, ttl, int(max_items), clock) for name, limit in _LIMITS.items()
        }

    def forget(self, sku: str | None = None) -> None:
        """Drop the kept answers of a SKU, after you changed it; of all SKUs by default."""
        for queue in self._queues.values():
            queue.forget(sku)

    @property
    def counts(self) -> LookupCounts:
        """The numbers so far, all kinds of look-up together."""
        names = LookupCounts.__dataclass_fields__
        return LookupCounts(**{name: sum(getattr(q, name) for q in self._queues.values()) for name in names})


class Lookup(_Lookups):
    """Look up single SKUs from many threads, several SKUs per request.

    Args:
        client: the client to ask through. It is not closed.
        ttl: seconds an answer is kept; 0 keeps none, and look-ups that come together still share a request.
        max_items: answers of each kind that are kept.
        gather_seconds: how long a request waits for more SKUs before it leaves, in seconds.
        parallel: requests of one kind at once.
        account_id: the account; the client's by default.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        client: OctopusClient,
        *,
        ttl: float = 5.0,
        max_items: int = 10_000,
        gather_seconds: float = 0.002,
        parallel: int = 4,
        account_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(ttl, max_items, gather_seconds, parallel, clock)
        self._client, self._account = client, account_id
        self._sleep = sleep
        self.after_fork()
        _lookups.add(self)

    def after_fork(self) -> None:
        """Forget the parent's look-ups, in a forked child."""
        self._lock = threading.Lock()  # the parent's other threads may have held the old one
        for queue in self._queues.values():
            queue.reset()

    def exists(self, sku: str, *, max_age: float | None = None) -> bool:
        """True if the SKU exists.

        Args:
            sku: the SKU, 1 to 50 characters.
            max_age: most seconds since a kept answer came; `ttl` by default.

        Raises:
            InvalidInputError: *sku* is not a valid SKU; nothing was sent.
            OctopusError: this SKU's look-up failed.

        Vendor's page: IsSkuExistList.
        """
        return bool(self._get(_EXISTS, sku, max_age))

    def item(self, sku: str, *, max_age: float | None = None) -> InventoryItem | None:
        """Return the item, or None if the service does not have it.

        Args:
            sku: the SKU, 1 to 50 characters.
            max_age: most seconds since a kept answer came; `ttl` by default.

        Raises:
            InvalidInputError: *sku* is not a valid SKU; nothing was sent.
            OctopusError: this SKU's look-up failed.

        Vendor's page: GetItemList.
        """
        found: InventoryItem | None = self._get(_ITEM, sku, max_age)
        return found

    def quantity(self, sku: str, *, max_age: float | None = None) -> QuantityInfoResponse | None:
        """Return the quantities of the item, or None if the answer has no row for it.

        Args:
            sku: the SKU, 1 to 50 characters.
            max_age: most seconds since a kept answer came; `ttl` by default.

        Raises:
            InvalidInputError: *sku* is not a valid SKU; nothing was sent.
            RejectedError: the service answered with an error message for this SKU.
            OctopusError: this SKU's look-up failed.

        Vendor's page: GetItemQuantityList.
        """
        found: QuantityInfoResponse | None = self._get(_QUANTITY, sku, max_age)
        return found

    def forget(self, sku: str | None = None) -> None:
        """Drop the kept answers of a SKU, after you changed it; of all SKUs by default."""
        with self._lock:
            super().forget(sku)

    def _get(self, name: str, sku: str, max_age: float | None) -> Any:
        _check(sku)
        queue = self._queues[name]
        with self._lock:
            kept, value = queue.find(sku, max_age)
            if kept:
                return value
            slot = queue.join(sku, threading.Event)
        try:
            self._wait(name, queue, slot)
            return slot.result()
        finally:
            with self._lock:
                queue.leave(slot)

    def _wait(self, name: str, queue: _Queue[Any], slot: _Slot[Any]) -> None:
        """Wait until *slot* is answered, and send for all if it is this thread's turn."""
        while True:
            with self._lock:
                if slot.done:
                    return
                leads = not slot.sent and not queue.gathering and queue.under_way < self._parallel
                queue.gathering = queue.gathering or leads
                slot.event.clear()
            if leads:
                self._send(name, queue)
            else:
                slot.event.wait(POLL_SECONDS)

    def _send(self, name: str, queue: _Queue[Any]) -> None:
        """Send one request for the waiting threads, and let another send the next."""
        batch: list[_Slot[Any]] = []
        gathered = False
        try:
            if self._gather and not queue.full:
                self._sleep(self._gather)
            gathered = True
        finally:  # also after Ctrl-C here: another thread goes on
            with self._lock:
                queue.gathering = False
                if gathered:
                    batch = queue.take()
                self._wake_next(queue)
        keys = [slot.key for slot in batch]
        answers: dict[str, Any] | None = None
        try:
            call: Callable[..., BatchResult[Any]] = getattr(self._client, name)
            answers = _answers(keys, call(keys, account_id=self._account))
        except OctopusError as error:
            answers = _failed(keys, error)
        finally:  # also after Ctrl-C here: the others in the batch are asked by another thread
            with self._lock:
                if answers is None:
                    queue.give_back(batch)
                else:
                    queue.settle(batch, answers)
                    for slot in batch:
                        slot.event.set()
                self._wake_next(queue)

    def _wake_next(self, queue: _Queue[Any]) -> None:
        """Let the thread that waits longest send the next request."""
        if queue.under_way < self._parallel and (slot := next(iter(queue.pending.values()), None)) is not None:
            slot.event.set()


_lookups: WeakSet[Lookup] = WeakSet()


def _after_fork() -> None:
    for lookup in _lookups:
        lookup.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class AsyncLookup(_Lookups):
    """Look up single SKUs from many tasks of an event loop, several SKUs per request.

    The arguments are those of `Lookup`, with an `AsyncOctopusClient`.

    Raises:
        ConfigError: a number is out of range; or, from a look-up, another event loop is using it.
    """

    def __init__(
        self,
        client: AsyncOctopusClient,
        *,
        ttl: float = 5.0,
        max_items: int = 10_000,
        gather_seconds: float = 0.002,
        parallel: int = 4,
        account_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(ttl, max_items, gather_seconds, parallel, clock)
        self._client, self._account = client, account_id
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._requests: set[asyncio.Task[None]] = set()

    async def exists(self, sku: str, *, max_age: float | None = None) -> bool:
        """True if the SKU exists; see `Lookup.exists`."""
        return bool(await self._get(_EXISTS, sku, max_age))

    async def item(self, sku: str, *, max_age: float | None = None) -> InventoryItem | None:
        """Return the item, or None if the service does not have it; see `Lookup.item`."""
        found: InventoryItem | None = await self._get(_ITEM, sku, max_age)
        return found

    async def quantity(self, sku: str, *, max_age: float | None = None) -> QuantityInfoResponse | None:
        """Return the item's quantities, or None without a row; see `Lookup.quantity`."""
        found: QuantityInfoResponse | None = await self._get(_QUANTITY, sku, max_age)
        return found

    async def _get(self, name: str, sku: str, max_age: float | None) -> Any:
        _check(sku)
        loop = self._bind()
        queue = self._queues[name]
        kept, value = queue.find(sku, max_age)
        if kept:
            return value
        slot = queue.join(sku, asyncio.Event)
        if not slot.sent:
            self._schedule(name, queue, loop)
        try:
            await slot.event.wait()  # a request is a task of its own: cancelling this one does not end it
            return slot.result()
        finally:
            queue.leave(slot)

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise ConfigError(
                    "an AsyncLookup belongs to one event loop, and another one is using it; make one for each"
                )
            self._loop = loop
            for queue in self._queues.values():  # what a closed loop left unfinished
                queue.reset()
            self._timers.clear()
        return loop

    def _schedule(self, name: str, queue: _Queue[Any], loop: asyncio.AbstractEventLoop) -> None:
        if queue.under_way >= self._parallel:
            return  # the end of a request starts the next
        if queue.full:
            self._start(name, queue)
        elif name not in self._timers:
            self._timers[name] = loop.call_later(self._gather, self._start, name, queue)

    def _start(self, name: str, queue: _Queue[Any]) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
        if queue.pending and queue.under_way < self._parallel:
            task = asyncio.ensure_future(self._send(name, queue, queue.take()))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _send(self, name: str, queue: _Queue[Any], batch: list[_Slot[Any]]) -> None:
        keys = [slot.key for slot in batch]
        answers: dict[str, Any] = _failed(keys, TransportError("the event loop ended before the answer came"))
        try:
            call: Callable[..., Awaitable[BatchResult[Any]]] = getattr(self._client, name)
            answers = _answers(keys, await call(keys, account_id=self._account))
        except OctopusError as error:
            answers = _failed(keys, error)
        finally:
            queue.settle(batch, answers)
            for slot in batch:
                slot.event.set()
            self._start(name, queue)
