"""The command line, `octopus-soap`: one command per file, listed in `commands`.

Exit codes: 0 all fine; 1 some items are rejected or unknown, or there are differences; 2 failed; 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

_FAILED = 2
_NEEDS_EXTRA = "octopus-soap: the command line needs the extra 'cli': pip install 'octopus-soap[cli]'"


def main() -> None:
    """Run `octopus-soap` with the process's arguments, and exit."""
    _open_streams()
    if sys.argv[1:] == ["--version"]:  # answered before the slow imports
        from octopus_soap._version import __version__  # noqa: PLC0415 - only needed here

        print(f"octopus-soap {__version__}")  # noqa: T201 - the answer
        sys.exit(0)
    if (asked := os.environ.get("_OCTOPUS_SOAP_COMPLETE", "")).startswith("complete_"):  # the Tab key, as above
        from octopus_soap.cli.completion import answer  # noqa: PLC0415 - only needed here

        text, code = answer(asked, os.environ)
        print(text)  # noqa: T201 - the answer
        sys.exit(code)
    if any(find_spec(name) is None for name in ("rich", "typer")):
        print(_NEEDS_EXTRA, file=sys.stderr)  # noqa: T201 - a message to the user
        sys.exit(2)
    from octopus_soap.cli.commands import run  # noqa: PLC0415 - needs the extra

    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # Python would flush again at exit, and end with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            # If stderr is a log on a full disk, the work is done all the same.
            code = code or (_FAILED if stream is sys.stdout else 0)
    sys.exit(code)


def _open_streams() -> None:
    """Open the standard streams that the shell closed (`>&-`).

    Otherwise another file would get their numbers. Reading stdin or writing stdout then fails, as on a broken disk;
    messages to stderr are lost.
    """
    for number, name, flags in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
