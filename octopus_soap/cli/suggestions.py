"""Values that the Tab key offers for options and arguments. A leaf: a shell waits for them, so it loads nothing heavy.

Each is what `autocompletion=` of an option takes. `completion` offers them; the table of commands that it reads has a
function of this module by its name, and words as they are.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import NamedTuple

LEDGER = "octopus-ledger.db"
"""The ledger of jobs in this folder, unless another one is named."""
_OFFERED = 50  # completions of a SKU


class Words(NamedTuple):
    """Values that are known in advance.

    Attributes:
        words: the values.
        listed: the value is a list such as `sku,price`, whose last name is completed.
        folded: small letters find a word in any case, and get it in small letters, because a shell drops what does not
            begin as typed.
    """

    words: tuple[str, ...]
    listed: bool = False
    folded: bool = False

    def like(self, incomplete: str) -> list[str]:
        """Return the values that begin as typed."""
        before, comma, begun = incomplete.rpartition(",") if self.listed else ("", "", incomplete)
        small = self.folded and begun != "" and begun.islower()
        spelt = (word.lower() if small else word for word in self.words)
        return [f"{before}{comma}{word}" for word in spelt if word.startswith(begun)]


def skus(incomplete: str) -> list[str]:
    """Return SKUs of the ledger in this folder that begin as typed; none if there is no ledger."""
    return _in_ledger("SELECT DISTINCT sku AS name FROM stock_item", incomplete)


def channels(incomplete: str) -> list[str]:
    """Return channels of the ledger in this folder that begin as typed."""
    return _in_ledger("SELECT channel AS name FROM channel", incomplete)


def _in_ledger(names: str, incomplete: str) -> list[str]:
    """Ask the SQLite file itself: SQLAlchemy takes longer to load than a Tab key may take."""
    import sqlite3  # noqa: PLC0415 - only for these values
    from pathlib import Path  # noqa: PLC0415 - as above

    place = Path(os.environ.get("OCTOPUS_LEDGER") or LEDGER)
    query = f"SELECT name FROM ({names}) WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT ?"  # noqa: S608 - of this file
    try:
        with closing(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            return [row[0] for row in connection.execute(query, (len(incomplete), incomplete, _OFFERED))]
    except sqlite3.Error:
        return []


def profiles(incomplete: str) -> list[str]:
    """Return the profiles of the profile file that begin as typed; none if it cannot be read."""
    import tomllib  # noqa: PLC0415 - only for these values

    from octopus_soap.profile_file import profiles_file  # noqa: PLC0415 - only for these values

    try:
        tables = tomllib.loads(profiles_file().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    return [name for name, table in tables.items() if isinstance(table, dict) and name.startswith(incomplete)]
