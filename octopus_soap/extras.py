"""Optional libraries: which extra brings one that is missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from octopus_soap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def needed(for_what: str, extra: str, module: str) -> Generator[None]:
    """Import *module* inside this block: where it is not installed, the error says how to get it.

    Args:
        for_what: what needs it, as the error begins.
        extra: the extra of this package that installs it.
        module: its name; another module that is missing is a fault of its own and stays one.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module:
            raise
        raise ConfigError(f"{for_what} needs {module}: pip install 'octopus-soap[{extra}]'") from None
