"""Who works: a name for this process that another one on the same machine can tell alive from dead.

A lease of a process that was killed would otherwise hold until it runs out. Where that process ran on this machine, its
death can be seen at once. On other machines, and on systems that cannot say, the lease runs out.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from functools import lru_cache
from pathlib import Path

_GONE, _HIDDEN = "0", "?"


def this_worker(name: str | None = None) -> str:
    """The name of this process: `name/host/machine/process`."""
    return "/".join([_plain(name or "worker"), _plain(socket.gethostname()), _machine(), _process(os.getpid())])


def new_token(worker: str) -> str:
    """A name for one claim of *worker*, unlike any other."""
    return f"{worker}#{uuid.uuid4().hex[:12]}"


def shown(token: str) -> str:
    """A worker or token as a person reads it."""
    parts = token.partition("#")[0].split("/")
    return f"{parts[0]} on {parts[1]} (process {parts[3].partition('.')[0]})" if len(parts) == 4 else token  # noqa: PLR2004 - the parts of this_worker


def is_gone(token: str) -> bool:
    """True where the process behind a worker or token is known to have ended; False also means: cannot tell."""
    parts = token.partition("#")[0].split("/")
    if len(parts) != 4 or parts[2] != _machine():  # noqa: PLR2004 - the parts of this_worker
        return False
    pid = parts[3].partition(".")[0]
    return pid.isdigit() and _process(int(pid)) not in {parts[3], _HIDDEN}


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)[:60] or "_"


@lru_cache(maxsize=1)
def _machine() -> str:
    """What processes that can see each other share: this boot of this machine, and the container's processes.

    Where the system does not tell, a name nobody else has: then nobody is ever taken for dead.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return uuid.uuid4().hex[:8]
    return f"{boot}-{namespace}"


def _process(pid: int) -> str:
    """The process with that number, and when it began: numbers are used again. `_GONE` where there is none."""
    if not sys.platform.startswith("linux"):
        return str(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return _HIDDEN if _exists(pid) else _GONE
    return _GONE if fields[0] in {"Z", "X"} else f"{pid}.{fields[19]}"


def _exists(pid: int) -> bool:
    """Whether there is such a process: `/proc` may be mounted so that it hides those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
