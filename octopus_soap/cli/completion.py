"""The answers to the Tab key, from a table of all commands.

The table, `completion.json`, is generated from the commands, and a test compares it with them. It is read in a few
milliseconds; building the commands takes several times as long as a Tab key may take. typer writes the shell's script
(`--install-completion`), which calls this module with typer's variables and expects typer's form of the answer.

A command in the table:

* `about`: its line of help.
* `options`: `names`, `about`, `many` (it can be repeated), and `value` (a flag has none).
* `arguments`: each has a `value`; the last one may be `many`.
* `commands`: those of a group by name; `spellings` has their other names.

A `value` is empty (nothing is offered), has `words`, or has `from`, the name of a function in `suggestions`.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from octopus_soap.cli import suggestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VARIABLE = "_OCTOPUS_SOAP_COMPLETE"
"""The variable that asks for completion: `complete_` and the shell's name."""
TABLE = f"{__file__.removesuffix('.py')}.json"
_Part: TypeAlias = "Mapping[str, Any]"
"""A command, an option or an argument of the table."""


class Offer(NamedTuple):
    """A word that may come next, and a line about it, or none."""

    word: str
    about: str = ""


def answer(instruction: str, variables: Mapping[str, str]) -> tuple[str, int]:
    """Return what a shell's script expects on standard output, and the exit code.

    *instruction* is the value of `VARIABLE`; *variables* is the environment, which has the line.
    """
    shell = instruction.removeprefix("complete_")
    words, begun = _bash(variables) if shell == "bash" else _other(variables, begun_apart=shell in _POWERSHELLS)
    with open(TABLE, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer to load than the table
        found = offers(json.load(file), words, begun)
    if shell == "bash":
        return "\n".join(offer.word for offer in found), 0
    if shell == "zsh":
        return f"_arguments '*: :(({chr(10).join(map(_for_zsh, found))}))'" if found else "_files", 0
    if shell == "fish":
        if variables.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":  # without an offer, fish completes files
            return "", 0 if found else 1
        return "\n".join(f"{offer.word}\t{offer.about}" if offer.about else offer.word for offer in found), 0
    if shell in _POWERSHELLS:
        return "\n".join(f"{offer.word}:::{offer.about or ' '}" for offer in found), 0
    return "", 1


_POWERSHELLS = frozenset({"powershell", "pwsh"})


def _bash(variables: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the complete words after the program's name, and the word begun."""
    words, at = _split(variables.get("COMP_WORDS", "")), int(variables.get("COMP_CWORD") or 0)
    return words[1:at], words[at] if at < len(words) else ""


def _other(variables: Mapping[str, str], *, begun_apart: bool) -> tuple[list[str], str]:
    line = variables.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if begun_apart:
        begun = variables.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return (words[:-1] if begun else words), begun
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def _split(line: str) -> list[str]:
    """Return the words of a line as a shell splits it; a quote may be open."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


_ESCAPED = (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", r"\\:"))


def _for_zsh(offer: Offer) -> str:
    word, about = offer
    for character, escaped in _ESCAPED:
        word, about = word.replace(character, escaped), about.replace(character, escaped)
    return f'"{word}":"{about}"' if about else f'"{word}"'


def offers(table: _Part, words: Sequence[str], begun: str) -> list[Offer]:
    """Return what may follow the complete *words* and starts with *begun*."""
    place = _Place(table)
    for word in words:
        place.after(word)
    return place.offers("" if begun == "=" else begun)


class _Place:
    """A place in a line: its command, and what was given to it so far."""

    def __init__(self, table: _Part) -> None:
        self._command = table
        self._given: set[str] = set()
        self._arguments = 0
        self._waiting: _Part | None = None
        """An option whose value comes next."""
        self._only_arguments = False

    def after(self, word: str) -> None:
        """Move to the place after *word*."""
        if self._waiting is not None:
            if word != "=":  # bash makes a word of it
                self._waiting = None
        elif word == "--":
            self._only_arguments = True
        elif word.startswith("-") and not self._only_arguments:
            self._after_option(word)
        elif "commands" in self._command:
            self._command, self._given = _command(self._command, word), set()
        else:
            self._arguments += 1

    def _after_option(self, word: str) -> None:
        name, joined, _ = word.partition("=")
        option = _option(self._command, name) or _option(self._command, name[:2])  # a value may follow a short name
        if option is not None:
            self._given.add(option["names"][0])
            if "value" in option and not joined and name in option["names"]:
                self._waiting = option

    def offers(self, begun: str) -> list[Offer]:
        """Return what may come here and starts with *begun*."""
        if self._waiting is not None:
            return _values(self._waiting["value"], begun)
        if begun.startswith("-") and not self._only_arguments:
            name, joined, value = begun.partition("=")
            if not joined:
                return list(self._options(begun))
            option = _option(self._command, name)
            return _values(option.get("value", {}), value) if option else []
        if "commands" in self._command:
            return _commands(self._command, begun)
        values = self._command.get("arguments", ())
        if not values or (self._arguments >= len(values) and not values[-1].get("many")):
            return []
        return _values(values[min(self._arguments, len(values) - 1)]["value"], begun)

    def _options(self, begun: str) -> Iterable[Offer]:
        for option in self._command["options"]:
            if option.get("many") or option["names"][0] not in self._given:
                yield from (Offer(name, option["about"]) for name in option["names"] if name.startswith(begun))


def _option(command: _Part, name: str) -> _Part | None:
    return next((option for option in command["options"] if name in option["names"]), None)


_UNKNOWN: _Part = {"options": (), "commands": {}}
"""A command that is not in the table, for which nothing is offered."""


def _command(group: _Part, word: str) -> _Part:
    commands: Mapping[str, _Part] = group["commands"]
    folded = word.casefold()
    names = (name for name, other in group.get("spellings", {}).items() if folded in {name.casefold(), other})
    return commands.get(word) or commands.get(next(names, "")) or _UNKNOWN


def _commands(group: _Part, begun: str) -> list[Offer]:
    """Return the commands of a group, in the spelling that was begun, in any case."""
    spellings = group.get("spellings")
    if spellings is None:
        return [Offer(name, part["about"]) for name, part in group["commands"].items() if name.startswith(begun)]
    other = "_" in begun or (begun != "" and begun.islower())
    shown = {(spellings[name] if other else name): part for name, part in sorted(group["commands"].items())}
    return [Offer(name, part["about"]) for name, part in shown.items() if name.casefold().startswith(begun.casefold())]


def _values(value: _Part, begun: str) -> list[Offer]:
    if "from" in value:
        found = getattr(suggestions, value["from"])(begun)
    else:
        words = suggestions.Words(tuple(value.get("words", ())), bool(value.get("listed")), bool(value.get("folded")))
        found = words.like(begun)
    return list(map(Offer, found))
