"""Which calls are hit by which faults."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING

from .faults import Latency, named_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .faults import InjectedFault
    from .records import CallRecord


@dataclass(eq=False)
class Rule:
    """One line of a script: under which conditions which faults are injected. Made by :meth:`Script.on`."""

    operation: str
    nth: frozenset[int] | None = None
    every: int | None = None
    after: int | None = None
    probability: float | None = None
    seed: int = 0
    keys: frozenset[str] | None = None
    merchant: str | None = None
    when: Callable[[CallRecord], bool] | None = None
    faults: tuple[InjectedFault, ...] = ()
    limit: int | None = None
    seen: int = 0
    hits: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Seed the rule's own random numbers, so that rules do not disturb each other."""
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable faults, not secrets

    def times(self, limit: int) -> Rule:
        """Inject at most ``limit`` times; later matching calls are answered without faults."""
        self.limit = limit
        return self

    def do(self, *faults: InjectedFault) -> Rule:
        """Inject these faults, applied in their order."""
        self.faults = faults
        return self

    def is_due(self, record: CallRecord) -> bool:
        """Count the call if it is one of the rule's, and return whether the faults are due."""
        if not self._concerns(record):
            return False
        self.seen += 1
        if self.limit is not None and self.hits >= self.limit:
            return False
        return (
            (self.nth is None or self.seen in self.nth)
            and (self.every is None or self.seen % self.every == 0)
            and (self.after is None or self.seen > self.after)
            and (self.probability is None or self._random.random() < self.probability)
        )

    def _concerns(self, record: CallRecord) -> bool:
        is_metadata = record.operation.startswith("?")
        if is_metadata != self.operation.startswith("?"):
            return False
        pattern = self.operation.replace("?", "[?]", 1) if is_metadata else self.operation
        return (
            fnmatchcase(record.operation, pattern)
            and (self.merchant is None or self.merchant == record.merchant)
            and (self.keys is None or not self.keys.isdisjoint(record.keys))
            and (self.when is None or self.when(record))
        )


def _share(rate: str, text: str) -> float | None:
    """Return the share of calls, None for all."""
    if not rate:
        return None
    try:
        share = float(rate[:-1]) / 100 if rate.endswith("%") else float(Fraction(rate))
    except (ValueError, ZeroDivisionError):
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r}: the rate is not a share such as 5%, 0.05 or 1/20")
    return share


class Script:
    """The faults in force, tried in the order they were added: the first rule that is due strikes.

    Every rule counts the calls it concerns from the moment it was added, whether or not another rule strikes them.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Show the number of rules."""
        return f"<Script rules={len(self._rules)}>"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return tuple(self._rules)

    def on(
        self,
        operation: str = "*",
        *,
        nth: int | Collection[int] | None = None,
        every: int | None = None,
        after: int | None = None,
        probability: float | None = None,
        seed: int = 0,
        key: str | Collection[str] | None = None,
        merchant: str | None = None,
        when: Callable[[CallRecord], bool] | None = None,
    ) -> Rule:
        """Add a rule; follow it with ``.do(...)``. All conditions given must hold.

        Args:
            operation: The operation's name, or a pattern such as ``Get*``; ``*`` is every SOAP call. ``?wsdl`` and
                ``?singleWsdl`` (patterns that start with a question mark) are requests for metadata instead.
            nth: The nth call the rule concerns, from 1, or several such numbers.
            every: Every so many calls.
            after: Every call after this many.
            probability: Chance per call, from a random generator of the rule's own.
            seed: That generator's seed.
            key: A SKU or order id, or several: calls whose request names one of them.
            merchant: Calls authorised as this merchant.
            when: A predicate on the call as recorded so far.
        """
        rule = Rule(
            operation=operation,
            nth=frozenset([nth] if isinstance(nth, int) else nth) if nth is not None else None,
            every=every,
            after=after,
            probability=probability,
            seed=seed,
            keys=frozenset([key] if isinstance(key, str) else key) if key is not None else None,
            merchant=merchant,
            when=when,
        )
        with self._lock:
            self._rules.append(rule)
        return rule

    def add(self, text: str, *, latency: float = 0.0, seed: int = 0) -> Rule:
        """Add a rule from a text such as ``503:5%``, ``SubmitOrder=lost:1/20`` or ``Get*=hang``.

        The form is ``[OPERATION=]FAULT[:RATE]``. FAULT is an HTTP status, or one of `faults.NAMED`. RATE is the share
        of calls: ``5%``, ``0.05`` or ``1/20``; every call without one.

        Args:
            text: The rule.
            latency: Seconds by which the failing answers come late.
            seed: Seed of the rule's random numbers.

        Raises:
            ValueError: The text is not such a rule; the message has the form of one.
        """
        target, _, rest = text.rpartition("=")
        name, _, rate = rest.partition(":")
        fault = named_fault(name.strip())
        share = _share(rate.strip(), text)
        late = (Latency(latency),) if latency else ()
        return self.on(target.strip() or "*", probability=share, seed=seed).do(*late, fault)

    def match(self, record: CallRecord) -> tuple[InjectedFault, ...]:
        """Return the faults for a call; empty if none is due."""
        with self._lock:
            due = [rule for rule in self._rules if rule.faults and rule.is_due(record)]
            if not due:
                return ()
            due[0].hits += 1
            return due[0].faults

    def remove(self, rule: Rule) -> None:
        """Remove a rule; does nothing if it is not in force."""
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()
