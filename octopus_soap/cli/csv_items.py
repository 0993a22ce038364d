"""Reading a CSV file into items: everything wrong with it is told at once. What a row may be: see `csv_rows`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003 - typer and dataclasses of callers read the annotations
from typing import TYPE_CHECKING, Generic, TypeVar

from octopus_soap.models import WireModel
from octopus_soap.tables.from_csv import CsvError, CsvRow, from_text, not_utf8

if TYPE_CHECKING:
    from octopus_soap.errors import InvalidInputError, Problem

M = TypeVar("M", bound=WireModel)
_POSITION = re.compile(r"\[(\d+)\]")  # how the client names another input in a message


@dataclass(frozen=True, slots=True)
class CsvItems(Generic[M]):
    """What a file holds.

    Attributes:
        path: the file.
        items: one item per row.
        rows: the row of each item as an editor counts, the first row being 1.
    """

    path: Path
    items: list[M]
    rows: list[int]

    def located(self, error: InvalidInputError) -> CsvError:
        """The same problems with the file's rows instead of positions."""
        return CsvError(self.path, [self._located(problem) for problem in error.problems])

    def _located(self, problem: Problem) -> Problem:
        if problem.index is None:
            return problem
        message = _POSITION.sub(lambda match: f"row {self.rows[int(match[1])]}", problem.message)
        return replace(problem, index=self.rows[problem.index], field=problem.field.rpartition(".")[2], message=message)


def parse_items(text: str, path: Path, model: type[M], *, others_ignored: bool = False) -> CsvItems[M]:
    """Read CSV *text* as rows of *model*.

    Args:
        text: the whole of it. Where it opens with a byte order mark, cells such as `="00123"` are read as what Excel
            shows for them.
        path: what errors call it.
        model: what a row is.
        others_ignored: read the key's column alone, whatever else there is.

    Raises:
        CsvError: a column or cell is not accepted; every one is listed.
    """
    items: list[M] = []
    numbers: list[int] = []
    problems: list[Problem] = []
    for row in from_text(text, path, model, others_ignored=others_ignored):
        if isinstance(row, CsvRow):
            items.append(row.item)
            numbers.append(row.number)
        else:
            problems += row
    if problems:
        raise CsvError(path, problems)
    return CsvItems(path, items, numbers)


def decoded(content: bytes, path: Path) -> str:
    """*content* as text, with its byte order mark.

    Raises:
        CsvError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
