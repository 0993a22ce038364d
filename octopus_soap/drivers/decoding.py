"""Where big replies are decoded: one thread per process, beside all event loops.

One, because decoding holds the interpreter's lock most of the time: more threads decode no faster, and each of them
stands between the event loop and its turn. It gives the lock away between rows.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from octopus_soap.drivers.turns import give_way
from octopus_soap.wire.breaks import on_break

if TYPE_CHECKING:
    from collections.abc import Callable


async def off_loop(work: Callable[[], Any]) -> Any:
    """Run *work* in the decoding thread, after what waits there already."""
    return await asyncio.get_running_loop().run_in_executor(_thread(os.getpid()), work)


@lru_cache(maxsize=1)
def _thread(pid: int) -> ThreadPoolExecutor:
    del pid  # a forked child has none of its parent's threads: it needs one of its own
    return ThreadPoolExecutor(1, thread_name_prefix="octopus_soap.decoding", initializer=_give_way)


def _give_way() -> None:
    on_break.set(give_way)
