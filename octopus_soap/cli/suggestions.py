"""Values that the Tab key offers for options and arguments.

A shell waits for them, so this module loads nothing heavy. Options take them as `autocompletion=`. The table of
commands that `completion` reads has the name of a function here, or the words themselves.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import NamedTuple

LEDGER = "octopus-ledger.db"
"""The default ledger of jobs, in the current folder."""
_OFFERED = 50  # completions at most


class Words(NamedTuple):
    """Values that are known in advance.

    Attributes:
        words: the values.
        listed: the value is a list such as `sku,price`, whose last name is completed.
        folded: a text in lower case matches words in any case, and the words are returned in lower case, because a
            shell drops words that do not start with the typed text.
    """

    words: tuple[str, ...]
    listed: bool = False
    folded: bool = False

    def like(self, incomplete: str) -> list[str]:
        """Return the values that start with the typed text."""
        before, comma, begun = incomplete.rpartition(",") if self.listed else ("", "", incomplete)
        small = self.folded and begun != "" and begun.islower()
        spelt = (word.lower() if small else word for word in self.words)
        return [f"{before}{comma}{word}" for word in spelt if word.startswith(begun)]


def skus(incomplete: str) -> list[str]:
    """Return SKUs of the ledger in this folder that start with the typed text."""
    return _in_ledger("SELECT DISTINCT sku AS name FROM stock_item", incomplete)


def channels(incomplete: str) -> list[str]:
    """Return channels of the ledger in this folder that start with the typed text."""
    return _in_ledger("SELECT channel AS name FROM channel", incomplete)


def _in_ledger(names: str, incomplete: str) -> list[str]:
    """Return names from the SQLite file; none if there is no ledger."""
    import sqlite3  # noqa: PLC0415 - only for these values; SQLAlchemy takes too long to load
    from pathlib import Path  # noqa: PLC0415 - as above

    place = Path(os.environ.get("OCTOPUS_LEDGER") or LEDGER)
    query = f"SELECT name FROM ({names}) WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT ?"  # noqa: S608 - the text is from this file
    try:
        with closing(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            return [row[0] for row in connection.execute(query, (len(incomplete), incomplete, _OFFERED))]
    except sqlite3.Error:
        return []


def profiles(incomplete: str) -> list[str]:
    """Return the profiles that start with the typed text; none without a file."""
    import tomllib  # noqa: PLC0415 - only for these values

    from octopus_soap.profile_file import profiles_file  # noqa: PLC0415 - only for these values

    try:
        tables = tomllib.loads(profiles_file().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    return [name for name, table in tables.items() if isinstance(table, dict) and name.startswith(incomplete)]
