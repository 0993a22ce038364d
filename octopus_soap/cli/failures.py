"""Failures as one line with a hint on stderr; the traceback with `--debug`."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import typer

from octopus_soap._http import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "octopus-soap"
REJECTED = 1
FAILED = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM
HUNG_UP = 141  # 128 + SIGPIPE

# By class name, so that no import is needed to explain an error. The `hint` of an error is for Python code; these are
# for a shell.
HINTS = {
    "CircuitOpenError": "wait that long and try again; octopus-soap doctor checks the service now",
    "ConnectFailedError": "is the endpoint right and the service running? octopus-soap doctor checks both",
    "TimedOutError": "try again; if it stays slow, raise OCTOPUS_READ_TIMEOUT or lower OCTOPUS_BATCH_SIZES",
    "AuthenticationError": "check OCTOPUS_AUTHTOKEN, OCTOPUS_MERCHANTNAME and OCTOPUS_ACCESSID",
    "UnverifiedContractError": "octopus-soap wsdl pin stores the live contract",
    "OutcomeUnknownError": "check the state at the service before you repeat it",
    "RateLimitedError": "wait, then send less at a time",
    "BatchError": "the output above lists what is done; run the command again for the rest",
    "ProtocolError": "is the endpoint the service itself, not a web page? octopus-soap doctor checks it",
}
EXTRAS = {
    "cryptography": "fleet",
    "celery": "fleet",
    "fastapi": "gateway",
    "httpx": "async",
    "psutil": "jobs",
    "psycopg": "postgres",
    "sqlalchemy": "jobs",
    "starlette": "emulator",
    "uvicorn": "emulator",
}
"""The extra with a module, if the command's row names no extra: `orders pull` needs `jobs`."""
_SECRET_VARIABLES = ("OCTOPUS_AUTHTOKEN", "OCTOPUS_ACCESSID", "OCTOPUS_ACCOUNT_ID")
_SECRET_OPTIONS = ("--authtoken", "--accessid", "--account-id")


def report(error: BaseException, *, extra: str = "", debug: bool = False, words: Sequence[str] = ()) -> int:
    """Print one line about *error* on stderr and return the exit code.

    Args:
        error: the exception that ended the command.
        extra: the optional dependencies that the command needs.
        debug: True to print the traceback too.
        words: the command line, whose secrets are masked.
    """
    if isinstance(error, BrokenPipeError):
        return _hung_up()
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        print("octopus-soap: interrupted", file=sys.stderr)  # noqa: T201 - a message to the user
        return INTERRUPTED
    text = f"octopus-soap: {_one_line(error, extra)}"
    if debug:
        text = "".join(traceback.format_exception(error)) + text
    with suppress(OSError):  # such as a log on a full disk: the exit code is enough
        print("\n".join(map(one_line, masked(text, words).split("\n"))), file=sys.stderr)  # noqa: T201 - a message to the user
    return REJECTED if type(error).__name__ == "RejectedError" else FAILED


def _hung_up() -> int:
    """Return the exit code for a reader that stopped, such as `head`."""
    # Python flushes stdout again at exit, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return HUNG_UP


def _one_line(error: BaseException, extra: str) -> str:
    name = type(error).__name__
    if name == "NoArgsIsHelpError":
        return _usage(error, "no command given")
    explain = getattr(error, "format_message", None)  # click's errors, whose classes newer typers keep private
    if explain is not None:
        return _usage(error, explain().replace("Value error, ", ""))  # the prefix is pydantic's, in some typer versions
    if isinstance(error, ImportError) and error.name and not error.name.startswith("octopus_soap"):
        extra = extra or EXTRAS.get(error.name.partition(".")[0], "")
        needed = f"'octopus-soap[cli,{extra}]'" if extra else "'octopus-soap[cli]'"
        return f"the module {error.name} is missing. Hint: pip install {needed}"
    if type(error).__module__.startswith("octopus_soap."):  # raised on purpose, for either service
        return in_words(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return f"unexpected {name}: {error}. Hint: this is a bug; please report it with the output of --debug"


def in_words(error: BaseException) -> str:
    """Return an error of this package with the hint for a shell."""
    cause = type(error.__cause__).__name__  # the cause of a failed batch explains more than the batch
    return _hinted(str(error), HINTS.get(cause) or HINTS.get(type(error).__name__, ""))


def _usage(error: Any, message: str) -> str:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "octopus-soap"
    return _hinted(message, f"{where} --help")


def _hinted(message: str, hint: str) -> str:
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} Hint: {hint}" if hint else message


def masked(text: str, words: Sequence[str] | None = None) -> str:
    """Return *text* without the secrets of the environment and of a command line.

    Args:
        text: such as the message of an error.
        words: the arguments of the command; the process's by default.
    """
    from octopus_soap.wire.redact import Redactor  # noqa: PLC0415 - only a failure needs it

    secrets = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    words = sys.argv[1:] if words is None else words
    for option in _SECRET_OPTIONS:
        secrets += [after for before, after in pairwise(words) if before == option]
        secrets += [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    return Redactor(secrets).text(text)
