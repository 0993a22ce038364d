"""What a shell's Tab key needs: which command is being typed, and the profiles there are.

Nothing here needs settings or a service; what cannot be found completes to nothing.
"""

from __future__ import annotations

import os


def words_typed() -> list[str]:
    """The words after the program's name on the line that a shell completes."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


def profiles(incomplete: str) -> list[str]:
    """The profiles of the profile file that begin as typed."""
    import tomllib  # noqa: PLC0415 - only a shell that completes needs it

    from octopus_soap.settings import profiles_file  # noqa: PLC0415 - only a shell that completes needs it

    try:
        tables = tomllib.loads(profiles_file().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    return [name for name, table in tables.items() if isinstance(table, dict) and name.startswith(incomplete)]
