"""Make one-line faults, and list those that no test notices: `make mutants`.

Each entry of `FAULTS` changes one line of the package into one that would lose, double, zero, hang, leak or mislabel
something. The runner makes the change in a copy of the checkout, never in the checkout itself, and runs the tests that
should fail. If they pass, it runs the folders around them. A fault that nothing notices has survived.

* Code is found by its text. If it is not in the module named, the whole package is searched, so that code can move;
  it must be found exactly once. A fault whose text is gone is reported as stale and fails the run.
* A test that fails, or runs into its time limit, has noticed the fault. A module that can no longer be imported has
  not: such a fault proves nothing about the tests, and is reported as broken.

    .venv/bin/python -m tests.mutants               # all of them, in about half an hour
    .venv/bin/python -m tests.mutants retry leases  # those whose module or harm contains one of the words
    .venv/bin/python -m tests.mutants --list        # only list them
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "octopus_soap"
_SECONDS = 60
"""The limit of a test: if it takes longer, it hangs, and has noticed the fault. No test usually takes a tenth of it."""
_MOST_SECONDS = 420
"""The limit for all tests of a fault."""


class Fault(NamedTuple):
    """One change of one line.

    Attributes:
        where: the module, below the package.
        old: the text that is replaced; with lines around it if it would be found twice.
        new: what replaces it.
        tests: files or folders below `tests/` that should notice it.
        harm: what would go wrong for a user.
    """

    where: str
    old: str
    new: str
    tests: tuple[str, ...]
    harm: str


_MATRIX = ("engine/test_retry_matrix.py",)
_SPLIT = ("engine/test_splitting.py", "faults/test_batches_under_fire.py")
_BOUNDARIES = ("operations/test_boundaries.py",)
_ENCODED = ("wire/test_encode_equals_zeep.py",)
_DECODED = ("wire/test_decode.py",)
_ANSWERS = ("operations/test_wcf_replies.py", "operations/test_over_socket.py")
_INBOX = ("jobs/test_order_inbox.py", "jobs/test_order_crashes.py")
_FEED = ("jobs/test_change_feed.py", "jobs/test_poison.py")
_PUSH = ("jobs/test_push.py", "jobs/test_push_crashes.py")

FAULTS = [
    # -- when to try again ---------------------------------------------------------------------------------------
    Fault(
        "engine/retry.py",
        "FailureKind.AMBIGUOUS:   (Verdict.RETRY,      Verdict.RETRY,      Verdict.UNKNOWN)",
        "FailureKind.AMBIGUOUS:   (Verdict.RETRY,      Verdict.RETRY,      Verdict.RETRY)",
        _MATRIX,
        "an order whose answer is lost is submitted twice",
    ),
    Fault(
        "engine/retry.py",
        "FailureKind.UNAVAILABLE: (Verdict.RETRY,      Verdict.RETRY,      Verdict.UNKNOWN)",
        "FailureKind.UNAVAILABLE: (Verdict.RETRY,      Verdict.RETRY,      Verdict.RAISE)",
        _MATRIX,
        "an order that a 503 may have taken is reported as not taken, and submitted again by hand",
    ),
    Fault(
        "engine/retry.py",
        "FailureKind.OVERSIZED:   (Verdict.RAISE,      Verdict.RAISE,      Verdict.UNKNOWN)",
        "FailureKind.OVERSIZED:   (Verdict.RAISE,      Verdict.RAISE,      Verdict.RAISE)",
        _MATRIX,
        "an order whose answer is too large to read is reported as failed",
    ),
    Fault(
        "engine/retry.py",
        "limit = min(policy.max_attempts, 2) if verdict is Verdict.RETRY_ONCE else policy.max_attempts",
        "limit = policy.max_attempts",
        _MATRIX,
        "a request that the server cannot process is sent more often than once again",
    ),
    Fault(
        "engine/retry.py",
        "if retry_after is not None and retry_after > policy.retry_after_cap:",
        "if retry_after is not None and retry_after < 0:",
        _MATRIX,
        "a Retry-After of an hour holds the job for as long as the total limit allows",
    ),
    Fault(
        "engine/retry.py",
        "if attempt >= limit or spent + pause >= policy.total:",
        "if attempt >= limit or spent >= policy.total:",
        _MATRIX,
        "a call pauses past its total limit",
    ),
    Fault(
        "engine/retry.py",
        "return chance * min(self.cap, self.base * 2.0 ** (attempt - 1))",
        "return chance * self.base * 2.0 ** (attempt - 1)",
        _MATRIX,
        "pauses between attempts grow without a limit",
    ),
    Fault(
        "engine/retry.py",
        "pause = policy.pause(attempt, chance) if retry_after is None else retry_after",
        "pause = policy.pause(attempt, chance)",
        _MATRIX,
        "a service that asks for a pause is asked again too early",
    ),
    Fault(
        "engine/retry.py",
        "if status == 400 and empty:",
        "if status == 400:",
        _MATRIX,
        "any refused batch is halved down to single items, which hides why it was refused",
    ),
    Fault(
        "engine/retry.py",
        "    429: FailureKind.THROTTLED,",
        "    429: FailureKind.REFUSED,",
        _MATRIX,
        "a throttled call fails at once",
    ),
    # -- one request with its attempts ---------------------------------------------------------------------------
    Fault(
        "engine/request.py",
        "lost += kind in _MAYBE_DONE",
        "lost += kind is FailureKind.STALE",
        (*_MATRIX, "faults/test_every_operation.py"),
        "an item deleted by an attempt whose answer was lost is reported as never having existed",
    ),
    Fault(
        "engine/request.py",
        "if lost and request.safety is not Safety.READ and never_left:",
        "if lost < 0 and never_left:",
        _MATRIX,
        "a write that an earlier attempt may have carried out is reported as never sent",
    ),
    Fault(
        "engine/request.py",
        "config.credentials.proven = True",
        "config.credentials.proven = False",
        (*_MATRIX, "faults/test_every_operation.py"),
        "an outage is reported as wrong credentials",
    ),
    Fault(
        "engine/request.py",
        "max(0.0, policy.total - info.elapsed)",
        "max(0.0, policy.total)",
        _MATRIX,
        "each attempt gets the whole total limit",
    ),
    Fault(
        "engine/request.py",
        "info.elapsed + (0.0 if last else decision.pause))",
        "info.elapsed)",
        _MATRIX,
        "pauses do not count towards the total limit",
    ),
    Fault(
        "engine/request.py",
        "attempts = info.attempts if answer.kind is FailureKind.BUSY else attempt.number",
        "attempts = attempt.number",
        (*_MATRIX, "service/test_limits.py"),
        "a request that never left counts as an attempt",
    ),
    # -- list calls ----------------------------------------------------------------------------------------------
    Fault(
        "engine/batch.py",
        "in_doubt = in_doubt or end.lost_answers > 0",
        "in_doubt = in_doubt or end.lost_answers > 99",
        _SPLIT,
        "items of a request whose answer was lost are reported as failed, though they may be done",
    ),
    Fault(
        "engine/batch.py",
        "for half in (batch[:middle], batch[middle:]):",
        "for half in (batch[:middle], batch[middle + 1 :]):",
        _SPLIT,
        "a halved batch loses an item",
    ),
    Fault(
        "engine/batch.py",
        "if self._request.safety is Safety.UNSAFE or self._outage:",
        "if self._outage:",
        (*_SPLIT, "faults/test_every_operation.py"),
        "an unsafe write that may be done is sent again in halves",
    ),
    Fault(
        "engine/batch.py",
        "outcomes.sort(key=_INDEX)\n        return BatchResult",
        "outcomes.sort(key=lambda outcome: outcome.key)\n        return BatchResult",
        (*_BOUNDARIES, *_SPLIT),
        "results come in another order than the inputs",
    ),
    Fault(
        "engine/batch.py",
        "return self.dead_ends > (3 if self.succeeded else 1)",
        "return self.dead_ends > 1_000_000",
        _SPLIT,
        "an outage costs a request for every single item",
    ),
    Fault(
        "engine/batch.py",
        "            self._is_over.fatal = failed.error",
        "            self._is_over.fatal = None",
        _SPLIT,
        "refused credentials are tried again with every batch, until the account is locked",
    ),
    Fault(
        "engine/batch.py",
        "if under_way.isdisjoint(entry.indices)]",
        "if entry.indices]",
        (*_SPLIT, "faults/test_threads_and_processes.py"),
        "after Ctrl-C an update that was under way is reported as not sent",
    ),
    Fault(
        "engine/request.py",
        "elif end.refusal is not None and (request.safety is Safety.READ or not end.decoded.rows):",
        "elif end.refusal is not None and request.safety is Safety.READ and end.decoded.rows:",
        ("events",),
        "a batch that the service answered with Failure counts as a success",
    ),
    # -- inputs --------------------------------------------------------------------------------------------------
    Fault(
        "engine/inputs.py",
        "if same.value == value:\n                same.indices += (index,)",
        "if same.value == value:\n                same.indices += ()",
        _BOUNDARIES,
        "an input given twice has one outcome instead of two",
    ),
    Fault(
        "engine/inputs.py",
        "if same.value == value:",
        "if same.key == key:",
        _BOUNDARIES,
        "of two prices for one SKU the second is silently dropped",
    ),
    Fault(
        "engine/inputs.py",
        "or len(batch) >= limit",
        "or len(batch) > limit",
        _BOUNDARIES,
        "a batch has one item more than the service takes",
    ),
    Fault(
        "engine/inputs.py",
        "if piece and size + len(entry.row) > self._context.max_request_bytes:",
        "if piece and size > 1_000_000_000:",
        _BOUNDARIES,
        "a request completed from the service grows beyond max_request_bytes",
    ),
    Fault(
        "engine/inputs.py",
        "or (rule.documented and size > rule.limit):",
        "or (not rule.documented and size > rule.limit):",
        _BOUNDARIES,
        "a batch size above the documented limit is accepted",
    ),
    Fault(
        "engine/omitted.py",
        "if self.mode is OmittedValues.SEND or not isinstance(value, WireModel):",
        "if self.mode is not OmittedValues.READ_FIRST or not isinstance(value, WireModel):",
        ("engine/test_omitted_values.py", "contract/test_omission_guard.py"),
        "an update that leaves out the price sets it to 0",
    ),
    Fault(
        "engine/inputs.py",
        "if same is not None and not self._reading:",
        "if same is not None and not self._entries:",
        _BOUNDARIES,
        "a stream sends two different prices for one SKU",
    ),
    Fault(
        "engine/inputs.py",
        "sum(1 for size in room if size <= most)",
        "sum(1 for size in room if size < most)",
        ("engine/test_inputs.py",),
        "a batch cut by bytes has one item less than fits",
    ),
    Fault(
        "engine/inputs.py",
        "or len(set(inputs)) < len(inputs):",
        "or len(set(inputs)) < 0:",
        ("engine/test_inputs.py",),
        "equal SKUs are asked twice, and the answer's one row belongs to the last",
    ),
    Fault(
        "engine/outcomes.py",
        "if key != entry.key or problems or len(entry.indices) != 1:",
        "if problems or len(entry.indices) != 1:",
        ("engine/test_matching.py",),
        "a row is the answer to the input in its place, whatever SKU it names",
    ),
    # -- rows and inputs -----------------------------------------------------------------------------------------
    Fault(
        "engine/outcomes.py",
        "matched.contradicted.add(position)",
        "matched.contradicted.discard(position)",
        ("engine/test_matching.py",),
        "of two answers that contradict each other the first is taken for true",
    ),
    Fault(
        "engine/outcomes.py",
        "if len(readings) != 1:",
        "if not readings:",
        ("engine/test_matching.py",),
        "a row that could belong to two inputs is given to the first",
    ),
    Fault(
        "engine/outcomes.py",
        "elif readings[0] in certain:",
        "elif readings[0] not in matched.rows:",
        ("engine/test_matching.py",),
        "a row whose key matches exactly is doubted because of one that matches roughly",
    ),
    Fault(
        "engine/outcomes.py",
        "unsure = OutcomeStatus.FAILED if reading else OutcomeStatus.UNKNOWN",
        "unsure = OutcomeStatus.FAILED",
        ("engine/test_matching.py", *_SPLIT, *_ANSWERS),
        "an update without an answer is reported as failed, though it may be done",
    ),
    Fault(
        "engine/outcomes.py",
        "if refusal is not None and verdict.status is OutcomeStatus.OK:",
        "if refusal is not None and verdict.status is OutcomeStatus.MISSING:",
        ("engine/test_splitting.py", *_ANSWERS),
        "a row marked done in a Failure envelope counts as done",
    ),
    Fault(
        "engine/outcomes.py",
        "return OutcomeStatus.UNKNOWN if in_doubt else status",
        "return status",
        _SPLIT,
        "an item in doubt is reported as not sent, and sent again",
    ),
    Fault(
        "engine/outcomes.py",
        "    if row is None:\n        if reading:",
        "    if row is None:\n        if not row:",
        ("engine/test_matching.py", *_SPLIT, *_ANSWERS),
        "an update without a row in the answer counts as settled: missing",
    ),
    # -- what answers mean ---------------------------------------------------------------------------------------
    Fault(
        "engine/outcomes.py",
        'return ItemVerdict(OutcomeStatus.UNKNOWN, None, row.error_message or "the row has no result")',
        "return ItemVerdict(OutcomeStatus.OK, row)",
        _ANSWERS,
        "an update whose row has no result counts as done",
    ),
    Fault(
        "engine/outcomes.py",
        "return Removal.REMOVED_OR_GONE if result.lost_answers else Removal.NOT_FOUND",
        "return Removal.NOT_FOUND",
        (*_ANSWERS, "faults"),
        "a delete that a lost attempt carried out is reported as an unknown SKU",
    ),
    Fault(
        "engine/outcomes.py",
        "if answer.result is not True:",
        "if answer.result is False:",
        _ANSWERS,
        "an order refused with a message alone counts as accepted",
    ),
    Fault(
        "engine/outcomes.py",
        "if answer.sku is not None and _fold(answer.sku) != _fold(sku):",
        "if answer.sku is None and not sku:",
        (*_ANSWERS, "faults"),
        "the quantity of another item is returned",
    ),
    Fault(
        "engine/outcomes.py",
        'if text.casefold() == "true":',
        "if text:",
        _ANSWERS,
        "an error message of CustomFieldMapping counts as done",
    ),
    # -- reading first -------------------------------------------------------------------------------------------
    Fault(
        "engine/omitted.py",
        "unset = set(type(value).model_fields) - value.model_fields_set",
        "unset = set(type(value).model_fields)",
        ("engine/test_omitted_values.py", "contract/test_omission_guard.py"),
        "a new price is replaced by the current one before it is sent",
    ),
    Fault(
        "engine/omitted.py",
        "known = {name: getattr(theirs, name) for name in type(theirs).model_fields if name not in mine.model_fields_set}",
        "known = {name: getattr(theirs, name) for name in type(theirs).model_fields}",
        ("engine/test_omitted_values.py", "contract/test_omission_guard.py"),
        "a store's new stock is replaced by the current one before it is sent",
    ),
    Fault(
        "engine/omitted.py",
        "_PER_CALL = 100 ",
        "_PER_CALL = 1000 ",
        ("operations/test_boundaries.py", "engine/test_omitted_values.py", "contract/test_omission_guard.py"),
        "current items are asked for by the thousand, and the service refuses",
    ),
    Fault(
        "engine/omitted.py",
        "if lacking := [name for name in left if name not in created]:",
        "if lacking := [name for name in left if name in ()]:",
        ("engine/test_omitted_values.py", "contract/test_omission_guard.py"),
        "a price missing in the current item is sent as 0",
    ),
    # -- turns, safety, checks -----------------------------------------------------------------------------------
    Fault(
        "transport/limiter.py",
        "            return self._next - now\n        self._next = now + self.interval\n        return",
        "            return self._next - now\n        self._next = now\n        return",
        ("engine/test_pacing.py",),
        "max_requests_per_second is not kept",
    ),
    Fault(
        "transport/limiter.py",
        "if self._waiting[0] is not ticket or self.under_way >= self.most:",
        "if self._waiting[0] is not ticket:",
        ("engine/test_pacing.py",),
        "more connections are opened than max_connections",
    ),
    Fault(
        "transport/limiter.py",
        "        self.under_way -= 1\n        if self._waiting:\n            self._wake_head()",
        "        self.under_way -= 1\n        if self._waiting:\n            self._waiting.rotate(0)",
        ("engine/test_pacing.py",),
        "a request that waits for a connection is never woken",
    ),
    Fault(
        "transport/limiter.py",
        "        if was_head and self._waiting:\n            self._wake_head()",
        "        if not was_head and self._waiting:\n            self._wake_head()",
        ("engine/test_pacing.py",),
        "one request that gives up blocks all behind it",
    ),
    Fault(
        "engine/inputs.py",
        'return checked._replace(key=f"{value.order_id}@{value.store_id}")',
        "return checked",
        _BOUNDARIES,
        "an order split over two stores cannot be confirmed",
    ),
    Fault(
        "engine/inputs.py",
        "if context.unverified and declared is not Safety.READ:",
        "if context.unverified and declared is Safety.UNSAFE:",
        ("contract/test_unverified_contract.py",),
        "prices are written with a contract that was never verified",
    ),
    Fault(
        "engine/operation.py",
        "if request.safety is not Safety.UNSAFE:",
        "if request.safety is not None:",
        ("faults", "engine/test_safety_and_errors.py"),
        "an order whose answer cannot be read is reported as failed, and submitted again",
    ),
    Fault(
        "engine/operation.py",
        "            if end.refusal is not None:",
        "            if end.refusal is not None and end.decoded.value is None:",
        _ANSWERS,
        "a value in a Failure envelope is returned as if all were well",
    ),
    # -- requests on the wire ------------------------------------------------------------------------------------
    Fault(
        "wire/encode.py",
        'if isinstance(value, Decimal):\n        return format(value, "f")',
        "if isinstance(value, Decimal):\n        return str(value)",
        _ENCODED,
        "a price of 1E+2 is sent in a form that the service reads as 0",
    ),
    Fault(
        "wire/encode.py",
        '"\\r": "&#13;"',
        '"\\r": "\\n"',
        (*_ENCODED, "faults/test_outbound_values.py"),
        "line ends in a description change on the way",
    ),
    Fault(
        "wire/encode.py",
        "self._steps: list[tuple[str, bool, Write]] = []\n        for member in shape.members:",
        "self._steps: list[tuple[str, bool, Write]] = []\n        for member in reversed(shape.members):",
        _ENCODED,
        "members are sent out of order, and the service ignores them: a price becomes 0",
    ),
    Fault(
        "wire/encode.py",
        "return value.astimezone(UTC).replace(tzinfo=None).isoformat() + utc_suffix",
        "return value.replace(tzinfo=None).isoformat() + utc_suffix",
        (*_ENCODED, "faults/test_outbound_values.py"),
        "times are sent hours off",
    ),
    Fault(
        "wire/encode.py",
        "        if unplaced:\n            raise ContractError",
        "        if not unplaced:\n            raise ContractError",
        ("contract/test_other_contracts.py", *_ENCODED),
        "a value that is not in the pinned contract is silently dropped",
    ),
    Fault(
        "wire/encode.py",
        "nil = f'<{tag} i:nil=\"true\"/>'",
        "nil = f'<{tag}/>'",
        _ENCODED,
        "None is sent as empty text",
    ),
    Fault(
        "wire/codec.py",
        "if member.is_value_type and not member.nillable and not given:",
        "if member.is_value_type and not member.nillable and not given and not path:",
        ("contract/test_omission_guard.py", "engine/test_omitted_values.py"),
        "a store's price that is left out becomes 0",
    ),
    # -- replies -------------------------------------------------------------------------------------------------
    Fault(
        "wire/decode.py",
        "if local_name(response.tag).casefold() != name.casefold():",
        "if not local_name(response.tag):",
        _DECODED,
        "the answer to another operation is read as this one's",
    ),
    Fault(
        "wire/decode.py",
        'if b"<!DOCTYPE" in body[:4096] and',
        'if b"<!DOCTYPE" in body[:1] and',
        (*_DECODED, "faults/test_hostile_replies.py"),
        "a reply with a DOCTYPE is parsed before it is refused",
    ),
    Fault(
        "wire/decode.py",
        "if root.getroottree().docinfo.internalDTD is not None:",
        "if root is None:",
        (*_DECODED, "faults/test_hostile_replies.py"),
        "a reply with a DOCTYPE in another encoding is read",
    ),
    Fault(
        "wire/decode.py",
        'raise ProtocolError("the reply has no result element")',
        "return decoded",
        _DECODED,
        "a reply without a result reads as an empty list",
    ),
    Fault(
        "wire/readers.py",
        "            if attribute in data:\n                self._again(",
        "            if attribute in ():\n                self._again(",
        (*_DECODED, *_ANSWERS),
        "a price that comes twice is read as the second one, unnoticed",
    ),
    Fault(
        "wire/readers.py",
        "            except ValueError as error:\n                self._problem(findings, attribute, str(error), text)",
        "            except ValueError:\n                data[attribute] = None",
        _DECODED,
        "a price that cannot be read is silently None",
    ),
    Fault(
        "wire/readers.py",
        'return element.get(NIL) in ("true", "1")',
        'return element.get(NIL) == "true"',
        _DECODED,
        "a nil row is read as an empty item",
    ),
    Fault(
        "wire/readers.py",
        "aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=server_zone)",
        "aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)",
        (*_DECODED, "models/test_models.py", *_ANSWERS),
        "order times of a server with its own time zone are hours off",
    ),
    Fault(
        "wire/readers.py",
        "(1753, 1, 1), (1900, 1, 1), ",
        "",
        (*_DECODED, "models/test_models.py", *_ANSWERS),
        "an item without a sale date is on sale since 1753",
    ),
    Fault(
        "wire/readers.py",
        "if text.isascii() and text.isdecimal():",
        "if text.replace('_', '').isdecimal():",
        (*_DECODED, "models/test_models.py"),
        "a quantity of 1_0 is read as 10",
    ),
    Fault(
        "wire/codec.py",
        'if status not in {"success", "true", ""}:',
        'if status not in {"success", "true", "", "failure"}:',
        (*_DECODED, *_ANSWERS),
        "Failure counts as success",
    ),
    Fault(
        "wire/codec.py",
        'elif status in {"success", "true"} and isinstance(reads, OneOf | ScalarOf) and not decoded.present:',
        "elif decoded.rows and not decoded.present:",
        (*_DECODED, *_ANSWERS),
        "an answer with only a Success counts as an answer with a value",
    ),
    Fault(
        "wire/codec.py",
        "if rare in words and echo in words:",
        "if not words:",
        ("faults/test_secrets.py",),
        "a service that echoes the credentials puts them into errors and logs",
    ),
    Fault(
        "wire/decode.py",
        "return http_error(reply, redactor) if reply.status in {413, 429} else error",
        "return error",
        ("faults/test_every_operation.py", *_DECODED),
        "a throttled request answered with a fault is not sent again",
    ),
    Fault(
        "wire/decode.py",
        "if reply.status in {401, 403} and not isinstance(error, AuthenticationError):",
        "if reply.status in {403} and not isinstance(error, AuthenticationError):",
        ("faults/test_every_operation.py", *_DECODED),
        "refused credentials are reported as a server fault",
    ),
    Fault(
        "_http.py",
        'until, now = http_date(value), http_date(headers.get("date", "")) or datetime.now(UTC)',
        "until, now = http_date(value), datetime.now(UTC)",
        (*_MATRIX, "test_http_rules.py"),
        "with a wrong clock a Retry-After date makes a call wait for hours, or not at all",
    ),
    Fault(
        "wire/redact.py",
        "key=len, reverse=True)\n        self._secrets",
        "key=len)\n        self._secrets",
        ("faults/test_redaction.py", "faults/test_secrets.py", *_DECODED, "test_recording.py"),
        "a part of a longer secret stays readable",
    ),
    Fault(
        "wire/redact.py",
        "if tag[1] or not is_secret_member(name):",
        "if tag[1] or name not in _SECRET_NAMES:",
        ("faults/test_redaction.py",),
        "the holder of a card is shown in errors and stored in the ledger, if the contract does not know the member",
    ),
    Fault(
        "wire/redact.py",
        'SECRET_MEMBERS = ("accountID", ',
        "SECRET_MEMBERS = (",
        ("faults/test_redaction.py", "faults/test_secrets.py", "test_recording.py"),
        "the account that a service echoes is shown in errors and stored in the ledger",
    ),
    # -- transport -----------------------------------------------------------------------------------------------
    Fault(
        "transport/blocking.py",
        "        if len(body) > limit:",
        "        if len(body) > limit * 1000:",
        ("faults/test_hostile_replies.py",),
        "a hostile reply fills the memory",
    ),
    Fault(
        "transport/asynchronous.py",
        "                if len(body) > limit:",
        "                if len(body) > limit * 1000:",
        ("faults/test_every_operation_async.py",),
        "a hostile reply fills the memory of an asynchronous service",
    ),
    Fault(
        "transport/async_connections.py",
        "follow_redirects=False,",
        "follow_redirects=True,",
        ("faults/test_every_operation_async.py", "faults/test_secrets.py"),
        "the credentials follow a redirect to another host",
    ),
    Fault(
        "transport/async_connections.py",
        "                cookies=no_cookies(),\n",
        "                cookies=None,\n",
        ("faults/test_secrets.py",),
        "cookies with changing names fill the memory of a service that runs for months",
    ),
    Fault(
        "transport/blocking.py",
        "session.get_adapter(target).send(prepared, timeout=timeout, **options)",
        "session.send(prepared, timeout=timeout, allow_redirects=False, **options)",
        ("faults/test_secrets.py",),
        "a load balancer's cookie ties every call to one server that may be down",
    ),
    Fault(
        "transport/asynchronous.py",
        "                here.turns.release()",
        "                here.turns.wake_all()",
        ("faults/test_every_operation_async.py", "asynchronous"),
        "an asynchronous client hangs after max_connections calls",
    ),
    Fault(
        "transport/asynchronous.py",
        "kind = FailureKind.NOT_SENT if trace.fresh and not trace.sent else FailureKind.AMBIGUOUS",
        "kind = FailureKind.NOT_SENT",
        ("faults/test_every_operation_async.py",),
        "an order whose answer is late is submitted twice",
    ),
    Fault(
        "transport/asynchronous.py",
        "stale = trace.sent and not trace.fresh and not trace.answered",
        "stale = False",
        ("faults/test_every_operation_async.py", "asynchronous", "operations"),
        "dead connections cost an attempt each",
    ),
    Fault(
        "transport/asynchronous.py",
        "range(_TURNS)",
        "range(0)",
        ("asynchronous",),
        "connections stay idle while an asynchronous client decodes",
    ),
    Fault(
        "transport/asynchronous.py",
        "            for task in running:\n                task.cancel()",
        "            for task in ():\n                task.cancel()",
        ("asynchronous", "faults/test_every_operation_async.py"),
        "a cancelled call goes on sending",
    ),
    Fault(
        "transport/asynchronous.py",
        "            await asyncio.gather(*running, return_exceptions=True)",
        "            await asyncio.sleep(0)",
        ("asynchronous", "faults/test_every_operation_async.py"),
        "requests of a cancelled call are still under way after it has ended",
    ),
    Fault(
        "transport/connections.py",
        'if _origin(request.url or "") == self._origin:',
        "if request.url:",
        ("faults/test_secrets.py", "contract/test_pin.py"),
        "the credentials are sent to another host",
    ),
    Fault(
        "transport/connections.py",
        "            if connected or self.sock is not None:\n                self._mark",
        "            if not connected and self.sock is None:\n                self._mark",
        ("faults/test_every_operation.py",),
        "an order that was cut off while it was sent is sent again",
    ),
    Fault(
        "transport/connections.py",
        "self._sock.settimeout(left if self._silence is None else min(self._silence, left))",
        "self._sock.settimeout(self._silence)",
        ("faults/test_timeouts.py",),
        "a service that falls silent holds a caller past the total limit",
    ),
    Fault(
        "transport/connections.py",
        "        self._session: requests.Session | None = None\n        self._turns",
        "        self._session: requests.Session | None = getattr(self, '_session', None)\n        self._turns",
        ("faults/test_threads_and_processes.py",),
        "a forked child shares its parent's connection, and answers are mixed up",
    ),
    Fault(
        "transport/connections.py",
        "        self._turns = ThreadLimiter(self._settings, report=self._report)",
        "        self._turns = getattr(self, '_turns', None) or ThreadLimiter(self._settings, report=self._report)",
        ("faults/test_threads_and_processes.py", "service/test_limits.py"),
        "a forked child waits for ever for a turn that its parent holds",
    ),
    Fault(
        "transport/connections.py",
        "            self._closed = True",
        "            self._closed = False",
        ("operations", "test_client.py", "service"),
        "a closed client opens connections that stay open",
    ),
    Fault(
        "transport/connections.py",
        "max_retries=0, pool_block=True)",
        "max_retries=2, pool_block=True)",
        ("faults/test_every_operation.py",),
        "urllib3 sends an order again behind the back of the retry policy",
    ),
    Fault(
        "transport/blocking.py",
        "            if failure.kind is FailureKind.STALE:\n                self._connections.drop_idle()",
        "            if failure.kind is FailureKind.BUSY:\n                self._connections.drop_idle()",
        ("faults/test_every_operation.py",),
        "after a quiet night each dead connection costs an attempt, and an order at each of them is in doubt",
    ),
    Fault(
        "transport/blocking.py",
        "gives its turn back when it is closed\n                turns.release()",
        "gives its turn back when it is closed\n                turns.wake_all()",
        ("service/test_limits.py", "operations/test_over_socket.py"),
        "a client hangs after max_connections calls",
    ),
    Fault(
        "transport/blocking.py",
        "        if time.monotonic() > until:",
        "        if time.monotonic() < 0:",
        ("faults/test_timeouts.py",),
        "a service that sends a byte now and then holds a caller with its own session for ever",
    ),
    Fault(
        "transport/blocking.py",
        "            siblings.abandoned.set()",
        "            siblings.abandoned.clear()",
        ("faults/test_threads_and_processes.py", "faults/test_batches_under_fire.py", "service"),
        "after Ctrl-C the threads of a call go on sending",
    ),
    Fault(
        "transport/limiter.py",
        "            if not granted:\n                with self._lock:",
        "            if granted and not limit:\n                with self._lock:",
        ("service/test_limits.py",),
        "a cancelled request keeps its place in the line, and all behind it wait for ever",
    ),
    Fault(
        "transport/limiter.py",
        "if waited + (pause or 0.0) >= limit:",
        "if waited + (pause or 0.0) < 0.0:",
        ("service/test_limits.py",),
        "a request waits for its turn past its total limit",
    ),
    # -- the ledger ----------------------------------------------------------------------------------------------
    Fault(
        "jobs/leases.py",
        "free = or_(table.c.leased_by.is_(None), until <= now, until > longest)",
        "free = or_(table.c.leased_by.is_(None), until.is_not(None))",
        ("jobs/test_ledger.py", "jobs/test_order_sharing.py"),
        "two workers deliver the same order",
    ),
    Fault(
        "jobs/leases.py",
        "return and_(self.table.c.channel == self.channel, self.table.c.leased_by == self.token)",
        "return and_(self.table.c.channel == self.channel, self.table.c.leased_by.is_not(None))",
        ("jobs/test_ledger.py", "jobs/test_push.py"),
        "a worker that comes back late overwrites what another one recorded",
    ),
    Fault(
        "jobs/leases.py",
        "<= longest and not self._ledger.has_exited(holder):",
        "<= longest and self._ledger.has_exited(holder):",
        ("jobs/test_ledger.py", "jobs/test_push.py"),
        "two runs of one job work at the same time",
    ),
    Fault(
        "jobs/leases.py",
        "        if found != self._token:",
        "        if found is None:",
        ("jobs/test_ledger.py", "jobs/test_push.py", "jobs/test_misfortunes.py"),
        "a run whose machine slept carries out a plan that another run replaced",
    ),
    Fault(
        "jobs/leases.py",
        "if len(parts) != _PARTS or parts[2] != _machine():",
        "if len(parts) != _PARTS:",
        ("jobs/test_ledger.py",),
        "work of a live worker on another machine is taken over, and done twice",
    ),
    Fault(
        "jobs/ledger.py",
        "if (row.endpoint, row.merchantname) != here or not same:",
        "if (row.endpoint, row.merchantname) != here:",
        ("jobs/test_ledger.py",),
        "one account's stock is compared with another's, and overwritten",
    ),
    Fault(
        "jobs/ledger.py",
        '"BEGIN" if reading else "BEGIN IMMEDIATE"',
        '"BEGIN"',
        ("jobs/test_ledger.py", "jobs/test_order_sharing.py", "jobs/test_push_workers.py"),
        "two workers on one file fail with a locked database",
    ),
    Fault(
        "jobs/reports.py",
        "return min(self.longest, doubled)",
        "return doubled",
        ("jobs/test_poison.py", "jobs/test_push.py"),
        "an item that failed for a week is tried again in a year",
    ),
    Fault(
        "jobs/handlers.py",
        "    if not connection.in_transaction():",
        "    if connection.closed:",
        ("jobs/test_poison.py", "jobs/test_order_inbox.py"),
        "a handler that commits loses the mark that the order is done, and gets it again",
    ),
    # -- fleets --------------------------------------------------------------------------------------------------
    Fault(
        "fleet/schedule.py",
        ".order_by(SCHEDULE.c.job).with_for_update()",
        ".order_by(SCHEDULE.c.job)",
        ("fleet/test_schedule.py",),
        "a run that the broker delivers to two workers at the same moment starts in both",
    ),
    Fault(
        "fleet/schedule.py",
        "update(SCHEDULE).where(mine, same, not_begun)",
        "update(SCHEDULE).where(mine, same)",
        ("fleet/test_schedule.py",),
        "a dead worker's runs, which another worker has just begun, are handed over again",
    ),
    Fault(
        "jobs/ledger.py",
        "report.timed_out = report.timed_out or has_timed_out(error)",
        "report.timed_out = False",
        ("fleet/test_fleet.py",),
        "merchants whose service hangs take the slots of all others",
    ),
    # -- pushing stock and prices --------------------------------------------------------------------------------
    Fault(
        "jobs/sending.py",
        '"wanted": case((_SAME, null()), else_=_ITEM.wanted),\n    "state": case((_SAME, "done")',
        '"wanted": null(),\n    "state": case((_SAME, "done")',
        _PUSH,
        "a price that changed while its update was under way is lost",
    ),
    Fault(
        "jobs/sending.py",
        '"state": case((_SAME, "done"), else_="pending")',
        '"state": "done"',
        _PUSH,
        "a price that changed while its update was under way counts as sent",
    ),
    Fault(
        "jobs/sending.py",
        "due = now + _MOMENT",
        "due = now - _MOMENT",
        _PUSH,
        "an update without an answer is tried again at once, in the same run",
    ),
    Fault(
        "jobs/sending.py",
        "with self._ledger.heartbeat(lease, self._seconds):",
        "with suppress(LedgerError):",
        _PUSH,
        "a request longer than its lease is sent by two workers",
    ),
    Fault(
        "jobs/plan.py",
        "if extent.changed <= most and extent.zeroed <= most and not",
        "if (extent.changed <= most or extent.zeroed <= most) and not",
        _PUSH,
        "a broken export sets the stock of the whole catalogue to 0",
    ),
    Fault(
        "jobs/plan.py",
        "zeroed + dropped + (0 if catalogue else empty)",
        "zeroed + dropped",
        _PUSH,
        "a first push of zeros passes the guard",
    ),
    Fault(
        "jobs/plan.py",
        "and self._number_of(wish) < floor:",
        "and self._number_of(wish) < 0:",
        _PUSH,
        "yesterday's export overwrites today's prices",
    ),
    Fault(
        "jobs/plan.py",
        "self._mine)\n        with self._ledger.transaction() as connection:\n            self._lock.check(connection)",
        "self._mine)\n        with self._ledger.transaction() as connection:\n            self._lock.check",
        _PUSH,
        "a plan is carried out by a run that has lost its lock",
    ),
    Fault(
        "jobs/plan.py",
        '"WHERE channel = :channel AND kind IN (\'new\', \'change\') ON CONFLICT',
        '"WHERE kind IN (\'new\', \'change\') ON CONFLICT',
        _PUSH,
        "what one shop's run has staged is carried out by another shop's, before its own guard has judged it",
    ),
    Fault(
        "jobs/plan.py",
        "if left[0] is not None or left[1] is not None:",
        "if left[1] is not None:",
        _PUSH,
        "what a run had staged that broke off is carried out by the next one",
    ),
    Fault(
        "jobs/desired.py",
        "result[name] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value",
        "result[name] = value",
        _PUSH,
        "an update of one store forgets the state of the others",
    ),
    Fault(
        "jobs/push.py",
        "        if outcome.status is OutcomeStatus.MISSING:\n            return Drift",
        "        if outcome.ok and outcome.value is None:\n            return Drift",
        _PUSH,
        "an item that the service lost is not sent again by a full reconcile",
    ),
    # -- orders --------------------------------------------------------------------------------------------------
    Fault(
        "jobs/order_download.py",
        "max(begin, watermark - self._options.overlap)",
        "max(begin, watermark)",
        (*_INBOX, "jobs/test_order_windows.py"),
        "an order that the service lists a little late is never downloaded",
    ),
    Fault(
        "jobs/order_download.py",
        "mark = min(max(seen), now + _AHEAD)",
        "mark = max(seen)",
        _INBOX,
        "one order dated years ahead hides all orders after it",
    ),
    Fault(
        "jobs/order_download.py",
        "self._note_gap(gap, error)",
        "report.add('gaps')",
        (*_INBOX, "jobs/test_poison.py"),
        "a second whose orders cannot be listed is forgotten, with its orders",
    ),
    Fault(
        "jobs/order_download.py",
        "Window(border, window.end)",
        "Window(border + SHORTEST, window.end)",
        ("jobs/test_order_windows.py",),
        "orders at the border of two windows are lost",
    ),
    Fault(
        "jobs/order_download.py",
        "elif row.state in {CONFIRMED, CHANGED} or",
        "elif row.state in {CHANGED} or",
        _INBOX,
        "an order that the service lists although it was confirmed is never confirmed again",
    ),
    Fault(
        "jobs/handlers.py",
        "if not connection.execute(self.change(lease, row).values(delivering=1)).rowcount:",
        "if connection.execute(self.change(lease, row).values(delivering=1)).rowcount < 0:",
        _INBOX,
        "an order whose lease ran out is handled by two workers",
    ),
    Fault(
        "jobs/handlers.py",
        'return {"delivering": 1, "deliveries": self.table.c.deliveries + 1}',
        'return {"delivering": 0, "deliveries": self.table.c.deliveries + 1}',
        _INBOX,
        "a handler does not learn that an earlier one was interrupted, and books the order twice",
    ),
    Fault(
        "jobs/order_delivery.py",
        "ORDERS.c.content != row.content).values(again)",
        "ORDERS.c.content == row.content).values(again)",
        _INBOX,
        "a version that came while the handler ran is confirmed and never handed over",
    ),
    Fault(
        "jobs/order_confirm.py",
        "one.done = one.row.order_id not in listed and",
        "one.done = one.row.order_id in asked or",
        _INBOX,
        "an order that the service still lists counts as confirmed",
    ),
    Fault(
        "jobs/order_confirm.py",
        "            one.sent.append(step)",
        "            one.sent.append('')",
        _INBOX,
        "an order that is split over stores is confirmed for one store only",
    ),
    Fault(
        "jobs/order_listing.py",
        "MASK if inner and is_secret_member(key) else",
        "",
        _INBOX,
        "card numbers are stored in the ledger",
    ),
    Fault(
        "jobs/order_listing.py",
        '_VOLATILE = frozenset({"number_of_matches", "last_update_date", "store_id"})',
        '_VOLATILE = frozenset({"number_of_matches", "store_id"})',
        _INBOX,
        "an order of which LastUpdateDate alone is new is reported as changed",
    ),
    # -- changes -------------------------------------------------------------------------------------------------
    Fault(
        "jobs/changes.py",
        "({} if sku in waiting else afresh)",
        "({} if sku in known else afresh)",
        _FEED,
        "a change that came while its handler ran is lost",
    ),
    Fault(
        "jobs/changes.py",
        "if content == row.handled_content and not row.delivering:",
        "if content == row.handled_content:",
        _FEED,
        "a change whose handler was interrupted is not handed over again",
    ),
    Fault(
        "jobs/changes.py",
        "content = _DELETED if outcome.value is None else _content(outcome.value)",
        "content = _DELETED",
        _FEED,
        "the second change of an item is never handed over",
    ),
    Fault(
        "jobs/changes.py",
        "if answer.value is not False:",
        "if answer.value is True:",
        _FEED,
        "an item without an answer is handed over as deleted",
    ),
    Fault(
        "jobs/changes.py",
        "self._refused >= _MOST_REFUSALS and",
        "self._refused < 0 and",
        _FEED,
        "a service that is down is asked for every item of the list",
    ),
    Fault(
        "jobs/changes.py",
        "            for _ in range(row.listed_rows):",
        "            for _ in range(1):",
        _FEED,
        "an item listed twice stays on the list, and is handed over in every run",
    ),
    # -- results, values, counting -------------------------------------------------------------------------------
    Fault(
        "models/scalars.py",
        "    return written\n",
        "    return exact\n",
        ("models/test_models.py",),
        "a price of 19.99 as a float is sent as 19.989999999999998",
    ),
    Fault(
        "models/scalars.py",
        '    if moment.utcoffset() is None:\n        raise refused("a datetime',
        '    if moment.year == 0:\n        raise refused("a datetime',
        ("models/test_models.py",),
        "a time without a zone is read in this machine's zone",
    ),
    Fault(
        "results.py",
        "        if self.repeatable:",
        "        if self.outcomes:",
        ("test_results.py", "engine/test_safety_and_errors.py"),
        "retry_inputs gives orders that may be accepted already",
    ),
    Fault(
        "observe/observer.py",
        "under_way=self._begun - self._requests,",
        "under_way=self._begun,",
        ("events/test_counters.py",),
        "a health check reports requests that ended long ago as under way",
    ),
    Fault(
        "observe/events.py",
        "                    message = self._redact(outcome.message)",
        "                    message = outcome.message",
        ("events", "faults/test_secrets.py"),
        "an event carries a secret that the service echoed",
    ),
    Fault(
        "tables/cells.py",
        "return excel_text(text) if _excel_would_change(text) else text",
        "return text",
        ("cli/test_cli_output.py", "notebook/test_frames.py"),
        "Excel turns SKU 00123 into 123",
    ),
    Fault(
        "tables/cells.py",
        "text = str(value)\n        return format",
        "text = str(float(value))\n        return format",
        ("cli/test_cli_output.py", "notebook/test_frames.py"),
        "an amount in a CSV file is rounded",
    ),
]  # fmt: skip


class Copy:
    """A copy of the checkout in which faults are made, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        names = [name for name in listed.stdout.split("\0") if name]
        if not names:  # not a git checkout, for example an unpacked sdist
            shutil.copytree(
                ROOT, self.root, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "site")
            )
        for name in names:
            source, target = ROOT / name, self.root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        # Compiled files are checked by the hash of their source, because a fault may change neither its length nor the
        # second of its time. Unchanged modules are then not compiled again for each fault.
        hashed = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.root / PACKAGE, quiet=1, invalidation_mode=hashed)
        self._environment = {**os.environ, "PYTHONPATH": str(self.root)}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def place(self, fault: Fault) -> Path | None:
        """Return the module with the fault's text; None unless it is there exactly once."""
        package = self.root / PACKAGE
        first = package / fault.where
        if first.exists() and first.read_text(encoding="utf-8").count(fault.old) == 1:
            return first
        found = [path for path in package.rglob("*.py") if fault.old in path.read_text(encoding="utf-8")]
        single = len(found) == 1 and found[0].read_text(encoding="utf-8").count(fault.old) == 1
        return found[0] if single else None

    def notices(self, tests: list[str]) -> str:
        """Return `failed`, `hung`, `broken` (not even imported), or nothing if tests pass."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command += [f"--timeout={_SECONDS}", "--no-header", "--tb=line", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=self._environment, capture_output=True, text=True, timeout=_MOST_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "hung"
        if done.returncode == 0:
            return ""
        if done.returncode == 1 or "Timeout" in done.stdout + done.stderr:
            return "failed"
        return "broken"

    def imports(self, module: Path) -> bool:
        """True if the changed module can be imported."""
        name = ".".join(module.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"], cwd=self.root, env=self._environment, capture_output=True, check=False
        )  # fmt: skip
        return done.returncode == 0


def tried(fault: Fault, copy: Copy) -> str:
    """Return `killed`, `killed by the folder`, `survived`, `stale` or `broken`."""
    module = copy.place(fault)
    if module is None:
        return "stale"
    before = module.read_text(encoding="utf-8")
    module.write_text(before.replace(fault.old, fault.new), encoding="utf-8")
    try:
        if not copy.imports(module):
            return "broken"
        tests = [f"tests/{name}" for name in fault.tests]
        if seen := copy.notices(tests):
            return "killed" if seen != "broken" else seen
        folders = {str(Path(name).parent) if name.endswith(".py") else name for name in fault.tests} - {"."}
        wider = [f"tests/{name}" for name in sorted(folders)]
        return "killed by the folder" if wider and wider != tests and copy.notices(wider) else "survived"
    finally:
        module.write_text(before, encoding="utf-8")


def main() -> int:
    """Try the faults; return 1 if any survived, is stale or is broken."""
    parser = argparse.ArgumentParser(description="Make faults in a copy of the package; see which the tests notice.")
    parser.add_argument("words", nargs="*", help="only faults whose module or harm contains one of these words")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    given = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests of Ctrl-C fail under a shell's `&`, which ignores it
    wanted = [f for f in FAULTS if not given.words or any(word in f.where or word in f.harm for word in given.words)]
    if given.list:
        for fault in wanted:
            print(f"{fault.where}: {fault.harm}")
        return 0
    tally: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="octopus-mutants-") as folder:
        copy = Copy(Path(folder))
        for number, fault in enumerate(wanted, 1):
            began = time.monotonic()
            outcome = tried(fault, copy)
            tally[outcome] = tally.get(outcome, 0) + 1
            print(
                f"{number:3}/{len(wanted)} {outcome:20} {time.monotonic() - began:4.0f} s  {fault.where}: {fault.harm}",
                flush=True,
            )
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items())), f"of {len(wanted)}")
    return 0 if set(tally) <= {"killed", "killed by the folder"} else 1


if __name__ == "__main__":
    sys.exit(main())
