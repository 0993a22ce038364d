"""Control characters of a service reach no terminal and no log: they are escaped."""

from __future__ import annotations

import io
import json
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from octopus_soap import CallInfo, InvalidInputError, OctopusError, Problem, ProtocolError
from octopus_soap._http import one_line
from octopus_soap.cli.terminal import show_table
from octopus_soap.tables.cells import as_json
from octopus_soap.tables.from_csv import CsvError
from tests.every import every

HOSTILE = {
    "ESC": "\x1b]0;owned\x07",
    "C1": "\x9b31m",
    "bidi": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "line": "a\nroot: ok",
    "return": "a\rroot: ok",
    "NEL": "a\x85b",
    "separator": "a\u2028b",
    "NUL": "a\x00b",
    "surrogate": "a\udc9bb",
}


def obeyed(text: str) -> list[str]:
    """Return the control characters in *text* that a terminal obeys."""
    return [each for each in text if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} or each in "\u200e\u200f\u061c"
            or "\u202a" <= each <= "\u202e" or "\u2066" <= each <= "\u2069"]  # fmt: skip


@every("text", HOSTILE.values(), ids=HOSTILE)
def test_an_error_is_one_line_without_them(text: str) -> None:
    info = CallInfo("GetItemList", fault_code=text, request_id="r")
    for error in (
        OctopusError(text, info=info),
        ProtocolError(f"the reply {text}"),
        InvalidInputError([Problem(text, 1, text, text, text)]),
        pickle.loads(pickle.dumps(OctopusError(text, info=info))),
    ):
        assert obeyed(f"{error}{error.message}") == []
        error.message = text  # like our code that adds to the message
        assert obeyed(str(error)) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_table_has_one_line_per_row_without_them(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table("", ["SKU", "Status", "~Message"], [("A", "rejected", text), (text, "ok", None)])
    printed = capsys.readouterr().out
    assert obeyed(printed.replace("\n", "")) == []
    assert len(printed.strip().splitlines()) == 4


@every("text", HOSTILE.values(), ids=HOSTILE)
def test_json_holds_the_same_text_without_them(text: str) -> None:
    assert json.loads(as_json([text], indent=None)) == [text]
    if "surrogate" not in text and text.isascii() is False and "\udc9b" not in text:
        assert obeyed(as_json([text], indent=None)) == []


def test_a_problem_of_a_file_is_one_line_each() -> None:
    lines = str(CsvError(Path("x.csv"), [Problem("bad\nrow 9: fine", 2), Problem("worse\x1b[2J", 3)])).split("\n")
    assert lines[1:] == ["  row 2: bad row 9: fine", "  row 3: worse\\x1b[2J"]


@every("text", ["", "Café, blue", "日本", "a b", "é\u0301", "👩‍🚀"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_a_service_cannot_write_to_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    from octopus_soap.cli.failures import report

    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert report(RuntimeError("\x1b[2Jgone")) == 2
    assert obeyed(capsys.readouterr().err.rstrip("\n")) == []
