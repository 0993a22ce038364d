"""The command line, `octopus-soap`: one command per file, listed in `commands`.

Exit codes: 0 all fine; 1 the service said no to some items, does not know them, or something differs; 2 failed;
130 Ctrl-C.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

FAILED = 2
_NEEDS_EXTRA = "octopus-soap: the command line needs the extra 'cli': pip install 'octopus-soap[cli]'"


def main() -> None:
    """Run `octopus-soap` with the process's arguments, and exit."""
    if any(find_spec(name) is None for name in ("rich", "typer")):
        print(_NEEDS_EXTRA, file=sys.stderr)  # noqa: T201 - the command line's own words
        sys.exit(FAILED)
    from octopus_soap.cli.commands import run  # noqa: PLC0415 - needs the extra

    sys.exit(run(sys.argv[1:]))
