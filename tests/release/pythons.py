"""Find the Pythons of this machine in their usual places."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = ["3.11", "3.12", "3.13", "3.14"]
"""The versions that the package supports."""

_PLACES = [
    "~/.pyenv/versions/{version}*/bin/python",
    "~/.local/share/uv/python/cpython-{version}*/bin/python{version}",
    "~/.local/share/mise/installs/python/{version}*/bin/python",
    "~/.asdf/installs/python/{version}*/bin/python",
    "/usr/bin/python{version}",
    "/usr/local/bin/python{version}",
    "/opt/python/{version}*/bin/python",
    "/Library/Frameworks/Python.framework/Versions/{version}/bin/python{version}",
]


def candidates(version: str, path: str | None = None) -> list[Path]:
    """Return the places of a Python of *version*, the likeliest first.

    Args:
        version: such as `3.12`.
        path: a PATH to look along; the process's own by default.
    """
    found = [Path(sys.executable)] if version == "{}.{}".format(*sys.version_info) else []
    for folder in (os.environ.get("PATH", "") if path is None else path).split(os.pathsep):
        if (named := shutil.which(f"python{version}", path=folder)) is not None:
            found.append(Path(named))
    for pattern in _PLACES:
        place = Path(pattern.format(version=version)).expanduser()
        found += sorted(Path(place.anchor).glob(place.relative_to(place.anchor).as_posix()), reverse=True)
    return list(dict.fromkeys(found))


def find(version: str) -> Path | None:
    """Return a Python of *version* that starts, or None."""
    return next((python for python in candidates(version) if _starts(python, version)), None)


def _starts(python: Path, version: str) -> bool:
    # A pyenv shim exists for every version of any of its Pythons, and works only for the chosen ones.
    asked = "import sys; print('{}.{}'.format(*sys.version_info))"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version
