"""Switches of the emulator: the faults that it injects, and its profile."""

from __future__ import annotations

import inspect
import re
import threading
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_type_hints

from starlette.routing import Route

from octopus_soap.console.security import form_of
from octopus_soap.console.site import back
from octopus_soap.emulator import ApiFailure, Fault, Hang, Latency, Profile, Reset, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from octopus_soap.console.site import Site
    from octopus_soap.emulator import Emulator, InjectedFault, Rule

Unit: TypeAlias = Literal["share", "seconds", "sku", "none"]
_MOST_SECONDS = 600.0
_WRITES = ("Update*", "Upload*", "Delete*", "SubmitOrder", "CustomFieldMapping")
_CONFIRMS = ("SetDownload*",)  # without a result that could be a Failure


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault that can be switched on.

    Args:
        name: Its name in addresses; the page shows *title*.
        imitates: What it imitates, and what the caller gets.
        executed: Whether the operation is carried out.
        unit: The unit of its value; the page proposes *value*.
    """

    name: str
    title: str
    imitates: str
    executed: str
    unit: Unit
    value: str = ""


SWITCHES = (
    Switch("latency", "Latency", "A slow line or a loaded server: answers come late.", "carried out", "seconds", "0.5"),
    Switch("unavailable", "503 Service Unavailable",
           "An application pool that restarts, or a load balancer without a backend.",
           "not carried out", "share", "20"),
    Switch("cut", "Cut connections",
           "A firewall or a restarting server resets the connection before the request is carried out.",
           "not carried out", "share", "20"),
    Switch("lost", "Lost answers",
           "The call is carried out, and its answer never arrives. The caller cannot know: an order that is sent again "
           "may be there twice.", "carried out", "share", "20"),
    Switch("fault", "WCF's generic fault",
           "An unhandled exception in the service. WCF gives the caller no reason.", "not carried out", "share", "20"),
    Switch("poison", "A poison SKU",
           "One item that the service fails on: every batch that names it gets WCF's generic fault.",
           "not carried out", "sku"),
    Switch("read-only", "Read-only",
           "An account that may not write. Writes are answered with Failure, confirmations with a fault. The wording "
           "is a guess.", "not carried out", "none"),
    Switch("hang", "Never answer", "A deadlock behind the service: the request is taken, and nothing comes back.",
           "not carried out", "share", "20"),
)  # fmt: skip
_BY_NAME = {switch.name: switch for switch in SWITCHES}
_IN_FORCE = ("poison", "read-only", "hang", "cut", "lost", "fault", "unavailable", "latency")
"""The order in which switches are tried. The first that is due strikes, so a rare fault comes first."""
_FAULTS: dict[str, InjectedFault] = {
    "unavailable": Status(503),
    "cut": Reset(when="before"),
    "lost": Reset(when="after"),
    "fault": Fault("internal"),
    "poison": Fault("internal"),
    "hang": Hang(),
}


@dataclass(slots=True)
class _On:
    """A switch that is on."""

    value: str
    operation: str
    rules: list[Rule]
    struck_before: int = 0

    @property
    def struck(self) -> int:
        return self.struck_before + sum(rule.hits for rule in self.rules)


class SwitchPages:
    """The pages `/faults` and `/profile`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._on: dict[str, _On] = {}
        self._rules: list[Rule] = []  # what these switches put into the script
        self._lock = threading.Lock()
        self._site: Site | None = None

    def routes(self, site: Site) -> list[Route]:
        """Return the routes."""
        self._site = site
        return [
            Route("/faults", self._faults),
            Route("/faults/{name}", self._switch, methods=["POST"]),
            Route("/profile", self._profile),
            Route("/profile", self._use_profile, methods=["POST"]),
        ]

    def words(self) -> list[str]:
        """Return what is on, for the head of every page."""
        return [
            f"{_BY_NAME[name].title}{_shown(_BY_NAME[name], on.value)}"
            for name, on in sorted(self._on.items(), key=lambda each: _IN_FORCE.index(each[0]))
        ]

    def off(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._on.clear()
            self._put()

    # -- faults ------------------------------------------------------------------------------------------------

    def _faults(self, request: Request, problem: str = "") -> Response:
        assert self._site is not None  # noqa: S101 - routes() sets it, and makes this reachable
        others = [rule for rule in self._emulator.script.rules if rule not in self._rules and rule.faults]
        return self._site.page(
            request,
            "faults.html",
            status=400 if problem else 200,
            switches=SWITCHES,
            states=self._on,
            others=others,
            problem=problem,
            units={"share": "% of calls", "seconds": "seconds", "sku": "SKU", "none": ""},
            operations=sorted(self._emulator.operations),
        )

    def _switch(self, request: Request) -> Response:
        name, form = request.path_params["name"], form_of(request.scope)
        if name == "all":
            self.off()
            return back(request, "/faults")
        switch = _BY_NAME.get(name)
        if switch is None:
            return self._faults(request, f"There is no switch {name[:40]!r}.")
        if form.get("on") != "1":
            with self._lock:
                self._on.pop(name, None)
                self._put()
            return back(request, "/faults")
        value, operation = form.get("value", "").strip(), form.get("operation", "").strip() or "*"
        problem = _problem(switch, value, operation)
        if problem:
            return self._faults(request, problem)
        with self._lock:
            before = self._on.get(name)
            self._on[name] = _On(value, operation, [], before.struck if before else 0)
            self._put()
        return back(request, "/faults")

    def _put(self) -> None:
        """Replace the rules in the script by those of the switches that are on."""
        script = self._emulator.script
        for on in self._on.values():
            on.struck_before, on.rules = on.struck, []
        for rule in self._rules:
            script.remove(rule)
        late = self._on.get("latency")
        first: tuple[InjectedFault, ...] = (Latency(float(late.value)),) if late else ()
        for name in _IN_FORCE:
            if name in self._on:
                self._on[name].rules = list(self._made(name, self._on[name], first))
        self._rules = [rule for on in self._on.values() for rule in on.rules]

    def _made(self, name: str, on: _On, late: tuple[InjectedFault, ...]) -> Iterator[Rule]:
        """Put the rules of one switch into the script."""
        script = self._emulator.script
        if name == "latency":
            yield script.on(on.operation).do(*late)
        elif name == "read-only":
            for pattern in _WRITES:
                yield script.on(pattern).do(*late, ApiFailure(code=1, message="The account is read-only."))
            for pattern in _CONFIRMS:
                yield script.on(pattern).do(*late, Fault("internal"))
        elif name == "poison":
            yield script.on(on.operation, key=on.value).do(*late, _FAULTS[name])
        else:
            yield script.on(on.operation, probability=float(on.value) / 100).do(*late, _FAULTS[name])

    # -- profile -----------------------------------------------------------------------------------------------

    def _profile(self, request: Request, problem: str = "") -> Response:
        assert self._site is not None  # noqa: S101 - as above
        profile = self._emulator.profile
        return self._site.page(
            request,
            "profile.html",
            status=400 if problem else 200,
            choices=[choice.of(profile) for choice in CHOICES],
            problem=problem,
            is_default=profile == Profile(now=profile.now),
            is_strict=profile == Profile.strict(now=profile.now),
        )

    def _use_profile(self, request: Request) -> Response:
        form = form_of(request.scope)
        now = self._emulator.profile.now
        if form.get("preset") in {"default", "strict"}:
            preset = Profile if form["preset"] == "default" else Profile.strict
            self._emulator.use_profile(preset(now=now))
            return back(request, "/profile")
        try:
            changes = {choice.name: choice.read(form[choice.name]) for choice in CHOICES if choice.name in form}
        except ValueError as error:
            return self._profile(request, str(error))
        self._emulator.use_profile(replace(self._emulator.profile, **changes))
        return back(request, "/profile")


def _shown(switch: Switch, value: str) -> str:
    return {"share": f" {value} %", "seconds": f" {value} s", "sku": f" {value}", "none": ""}[switch.unit]


def _problem(switch: Switch, value: str, operation: str) -> str:
    """Return the problem of a switch's fields; empty if there is none."""
    if not re.fullmatch(r"[A-Za-z*]{1,60}", operation):
        return f"{switch.title}: {operation[:60]!r} is no operation. Give a name or a pattern, such as Get* or *."
    if switch.unit == "sku" and not value:
        return f"{switch.title}: give the SKU."
    if switch.unit in {"share", "seconds"}:
        most = 100.0 if switch.unit == "share" else _MOST_SECONDS
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number <= most:
            return f"{switch.title}: {value[:40]!r} is not a number above 0 and up to {most:g}."
    return ""


# -- the choices of a profile, read from its class -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One switch of a profile.

    Args:
        name: Its name.
        options: Its possible values; empty for a number or a text.
        words: What it decides.
        kind: The type of its value.
        optional: Whether it may be empty.
    """

    name: str
    options: tuple[str, ...]
    words: str
    kind: type
    optional: bool = False

    def of(self, profile: Profile) -> dict[str, Any]:
        """Return the variables that the page shows."""
        value = getattr(profile, self.name)
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        usual = getattr(Profile(), self.name)
        return {"choice": self, "value": text, "changed": value != usual}

    def read(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            ValueError: The text is none of the options, or no number.
        """
        text = text.strip()
        if self.options and text not in self.options:
            raise ValueError(f"{self.name}: {text[:40]!r} is not one of {', '.join(self.options)}.")
        if self.kind is bool:
            return text == "true"
        if self.kind is not int:
            return text
        if not text and self.optional:
            return None
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise ValueError(f"{self.name}: {text[:40]!r} is not a whole number.")
        return int(text)


def _choices() -> tuple[Choice, ...]:
    words, hints = _words(), get_type_hints(Profile)
    made: list[Choice] = []
    for field in fields(Profile):
        hint, optional = hints[field.name], False
        if type(None) in get_args(hint):
            hint, optional = next(part for part in get_args(hint) if part is not type(None)), True
        options = get_args(hint)
        kind = bool if hint is bool else type(options[0]) if options else hint
        if kind in {bool, int, str}:
            shown = ("true", "false") if kind is bool else tuple(map(str, options))
            made.append(Choice(field.name, shown, words.get(field.name, ""), kind, optional))
    return tuple(made)


def _words() -> dict[str, str]:
    """Return the text about each switch in the docstring of `Profile`, if any."""
    found = re.findall(
        r"^    (\w+): (.*?)(?=^    \w+: |\Z)", inspect.cleandoc(Profile.__doc__ or ""), re.DOTALL | re.MULTILINE
    )
    return {name: re.sub(r"\s+", " ", text).replace("``", "").strip() for name, text in found}


CHOICES = _choices()
