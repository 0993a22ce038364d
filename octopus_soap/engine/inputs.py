"""Check the inputs of a call, and cut those of a list call into batches.

Mistakes of a caller are found here, before the first byte is sent.

Invariants:

* Every problem names what is wrong and where: index, key, field and value. A secret's value is never shown.
* All inputs of a list call are checked before any is sent, and every problem is reported at once. A stream is the
  exception: its inputs are checked batch by batch, as they come.
* Equal inputs become one `BatchItem`: sent once, with an outcome each. A write with two different inputs of one key is
  refused.
* A batch has at most as many rows, and its request as many bytes, as the limits allow; one row that is larger than the
  limit is sent alone.

On failure: `InvalidInputError`, with every problem. Nothing was sent, except by a stream, whose error names the batches
that were not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import SecretStr

from octopus_soap import models
from octopus_soap.engine.omitted import nested_model, omission_problem
from octopus_soap.errors import InvalidInputError, Problem, UnverifiedContractError
from octopus_soap.models.base import OTHER_NAMES, WireModel
from octopus_soap.models.declarations import Safety
from octopus_soap.models.scalars import FORBIDDEN, INT32_MAX, INT32_MIN, SKU_LENGTH, own_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octopus_soap.engine.omitted import OmissionGuard
    from octopus_soap.engine.outcomes import ItemVerdict
    from octopus_soap.engine.request import Context
    from octopus_soap.models import InventoryItem, ItemQuantityAndPrice
    from octopus_soap.models.declarations import OmittedChoice, Reads
    from octopus_soap.results import Progress
    from octopus_soap.wire.decode import Decoded

T = TypeVar("T")
M = TypeVar("M", bound=WireModel)
_SHOWN = 60
"""Characters of a refused value that a message shows."""


# -- arguments ---------------------------------------------------------------------------------------------------------


def text_problems(value: Any, name: str, *, secret: bool = False) -> list[Problem]:
    """Return the problems of a text argument; a *secret* is not shown."""
    if not isinstance(value, str):
        message = f"expected text, not {type(value).__name__}{_instead_of_text(value, name)}"
    elif not value:
        return [Problem("must not be empty", field=name)]
    elif found := FORBIDDEN.search(value):
        message = f"character {found[0]!r} at position {found.start()} cannot be sent in XML; remove it"
    else:
        return []
    return [Problem(message, field=name, value="" if secret else repr(value)[:_SHOWN])]


def _instead_of_text(value: Any, name: str) -> str:
    """Return advice on what to pass for *name*, a SKU if empty, instead of *value*."""
    if isinstance(value, WireModel):
        wanted = (name.rpartition(".")[2] or "sku").removesuffix("s")
        return f"; {_key_in(value, wanted)}"
    if _is_table(value):
        return "; pass one of its values, or use the list form of the call with df['sku']"
    if _is_missing(value):
        return "; it has no value: leave such rows out, as df['sku'].dropna() does"
    if isinstance(own_form(value), (int, float)) and not isinstance(value, bool):
        return "; read the column as text (dtype=str), so that no leading zero is lost"
    return ""


def _key_in(value: WireModel, wanted: str, *, listed: bool = False) -> str:
    """Return advice on how to get the key *wanted* from the model that was passed."""
    model, called = type(value), "order" if "Order" in type(value).__name__ else "item"
    if wanted in model.model_fields:
        return f"pass [{called}.{wanted}]" if listed else f"pass its {wanted}"
    for name in model.model_fields:
        inner = nested_model(model, name)
        if inner is not None and wanted in inner.model_fields:
            found = f"[line.{wanted} for line in {called}.{name}]"
            return f"pass {found}" if listed else f"it has one in each of its {name}: {found}"
    what = "SKU" if wanted == "sku" else wanted
    example = repr("00123" if what == "SKU" else "1")
    return f"it has no {what}; pass " + (
        f"SKUs as texts, such as [{example}]" if listed else f"a text, such as {example}"
    )


def _is_table(value: Any) -> bool:
    return (hasattr(value, "dtype") and hasattr(value, "shape") and value.shape != ()) or hasattr(value, "columns")


def _is_missing(value: Any) -> bool:
    return type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def sku_problems(value: Any, name: str = "") -> list[Problem]:
    """Return the problems of a SKU: those of a text, or its length."""
    problems = text_problems(value, name)
    if not problems and len(value) > SKU_LENGTH:
        message = f"a SKU has at most {SKU_LENGTH} characters, this one has {len(value)}"
        problems = [Problem(message, field=name, value=repr(value)[:_SHOWN])]
    return problems


def length_problems(value: Any, path: str = "") -> list[Problem]:
    """Return a problem for each text in a model that is longer than documented."""
    if isinstance(value, list):
        return [each for index, inner in enumerate(value) for each in length_problems(inner, f"{path}[{index}]")]
    if not isinstance(value, WireModel):
        return []
    problems: list[Problem] = []
    lengths, dot = type(value).documented_lengths(), f"{path}." if path else ""
    for name in type(value).model_fields:
        text, most = getattr(value, name), lengths.get(name)
        if most is not None and isinstance(text, str) and len(text) > most:
            message = f"has {len(text)} characters, and the vendor's page allows {most}; shorten it (strict_lengths)"
            problems.append(Problem(message, field=f"{dot}{name}", value=f"{text[:20]!r}…"))
        problems += length_problems(text, f"{dot}{name}")
    return problems


def number_problems(**numbers: Any) -> list[Problem]:
    """Return the problems of arguments that are xs:int on the wire."""
    return [
        Problem("expected an int of 32 bits", field=name, value=repr(value)[:_SHOWN])
        for name, value in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or not INT32_MIN <= value <= INT32_MAX
    ]


def as_model(value: Any, model: type[M], name: str = "", *, required: bool = False) -> tuple[Any, list[Problem]]:
    """Return an argument as a *model*, made from a dict if needed, and its problems."""
    if isinstance(value, dict):
        try:
            return model(**value), []
        except InvalidInputError as error:
            return value, list(error.problems)
    if isinstance(value, model) or (value is None and not required):
        return value, []
    message = f"expected {_a(model.__name__)} or a dict, not {type(value).__name__}{_instead_of_model(value, model)}"
    return value, [Problem(message, field=name)]


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOUaeiou' else 'a'} {noun}"


def _instead_of_model(value: Any, model: type[WireModel]) -> str:
    """Return advice on how to make a model of *value*; empty if there is none."""
    key = model.key_field
    if not key:
        return ""
    if isinstance(value, str):
        return f"; pass {model.__name__}({key}={value[:_SHOWN]!r})"
    if isinstance(value, WireModel) and key in type(value).model_fields:
        called = "order" if key == "order_id" else "item"
        return f"; pass {model.__name__}({key}={called}.{key})"
    return ""


def check_call(
    context: Context, operation: str, declared: Safety, account_id: SecretStr | str | None, problems: Sequence[Problem]
) -> SecretStr:
    """Return the account of a call: the client's, unless the call names one.

    Raises:
        InvalidInputError: there are *problems*, or the account is not valid.
        UnverifiedContractError: the operation writes, the contract is the bundled one, and the endpoint is real.
    """
    # It stays hidden until it is encoded, so that no traceback's variables show it.
    account: Any = context.account_id if account_id is None else account_id
    if isinstance(account, str):
        account = SecretStr(account)
    hidden = isinstance(account, SecretStr)
    found = text_problems(account.get_secret_value() if hidden else account, "account_id", secret=True)
    if problems := [*problems, *found]:
        raise InvalidInputError(problems)
    if context.unverified and declared is not Safety.READ:
        raise unverified(operation)
    checked: SecretStr = account
    return checked


def unverified(what: str) -> UnverifiedContractError:
    """Return the error of a write with the bundled contract against a real endpoint."""
    return UnverifiedContractError(
        f"{what} would write with the bundled contract, which is a reconstruction. A WCF server ignores members in the "
        "wrong order or namespace without any error, and a price could become 0. Pin the live contract (octopus-soap "
        "wsdl pin), pass wsdl=..., or set accept_unverified_contract=True"
    )


# -- one input of a list call ------------------------------------------------------------------------------------------


class CheckedInput(NamedTuple):
    """One input of a list call, with its key and its problems."""

    key: str
    value: Any
    problems: list[Problem]


def sku(value: Any) -> CheckedInput:
    """Check one SKU of a list."""
    if type(value) is str and 0 < len(value) <= SKU_LENGTH and FORBIDDEN.search(value) is None:
        return CheckedInput(value, value, [])  # the usual case first: lists of SKUs are long
    return CheckedInput(value if isinstance(value, str) else "", value, sku_problems(value))


class ModelCheck:
    """Checks that an input is a *model* with a valid key, its *attribute*.

    Args:
        problems_of_key: returns the problems of a key, given its value and name.
    """

    def __init__(
        self, model: type[WireModel], attribute: str, problems_of_key: Callable[[Any, str], list[Problem]]
    ) -> None:
        self.model, self._attribute, self._problems_of_key = model, attribute, problems_of_key

    def __call__(self, value: Any) -> CheckedInput:
        """Check one input."""
        value, problems = as_model(value, self.model, required=True)
        if problems:
            return CheckedInput("", value, problems)
        key = getattr(value, self._attribute) or ""
        return CheckedInput(key, value, self._problems_of_key(key, f"{self.model.__name__}.{self._attribute}"))


def item(model: type[InventoryItem | ItemQuantityAndPrice]) -> ModelCheck:
    """Return a check for items: a *model* with a valid SKU."""
    return ModelCheck(model, "sku", sku_problems)


def keyed(model: type[WireModel], attribute: str) -> ModelCheck:
    """Return a check for a *model* whose key is *attribute*."""
    return ModelCheck(model, attribute, text_problems)


class _ConfirmationCheck(ModelCheck):
    """Checks one confirmation of an order."""

    def __call__(self, value: Any) -> CheckedInput:
        """Check one input."""
        checked = ModelCheck.__call__(self, value)
        value = checked.value
        if checked.problems or not value.store_id:
            return checked
        # A split order is confirmed once per store, so its key includes the store.
        return checked._replace(key=f"{value.order_id}@{value.store_id}")


def confirmation() -> ModelCheck:
    """Return a check for confirmations of orders."""
    return _ConfirmationCheck(models.OrderDownloadSubmitRequest, "order_id", text_problems)


# -- list calls --------------------------------------------------------------------------------------------------------


class BatchRule(NamedTuple):
    """How a list operation is cut into batches.

    Attributes:
        listed: wire name of the list parameter.
        limit: most rows per request.
        documented: True if the vendor's page states the limit, False if it is ours.
        argument: the list's name in Python, for messages.
    """

    listed: str
    limit: int
    documented: bool
    argument: str = ""


class ListCall(NamedTuple, Generic[T]):
    """One call of a list operation, as its row of the catalogue describes it.

    Attributes:
        reads: what the reply is decoded to; rows are matched to the inputs by key.
        judge_row: returns the verdict of a row. The row itself is the value if that is None, or there is no function.
        judge_reply: returns the verdict of a reply without rows, for every input. If None, each reply is a success.
        batch_size: overrides the rule's limit, downwards or (if the limit is ours) upwards.
        progress: called after each batch; True for a progress bar.
        guarded: True if a value that is left out could overwrite the service's (updates and uploads of items).
        account_id, omitted_values: override the client's.
    """

    inputs: Iterable[Any]
    check: Callable[[Any], CheckedInput]
    reads: Reads
    judge_row: Callable[[Any], ItemVerdict[T] | None] | None = None
    judge_reply: Callable[[Decoded], ItemVerdict[T]] | None = None
    account_id: str | None = None
    batch_size: int | None = None
    progress: Callable[[Progress], object] | bool | None = None
    guarded: bool = False
    omitted_values: OmittedChoice | None = None

    def __repr__(self) -> str:  # the account id is a secret
        return f"ListCall({self.reads})"


@dataclass(slots=True)
class BatchItem:
    """One distinct input, from its check to its outcome.

    Attributes:
        input: the input as the caller passed it.
        value: what is sent, encoded as `row`.
        indices: positions in the input; several for equal inputs.
        filled: members completed from the service's current item.
    """

    key: str
    input: Any
    value: Any
    indices: tuple[int, ...]
    row: bytes = b""
    filled: tuple[str, ...] = ()


def _plain_items(skus: list[str], rows: Sequence[bytes], place: slice) -> list[BatchItem]:
    """Return the items at *place*."""
    # Made for each batch anew, so that the garbage collector has fewer objects to scan.
    skus, places = skus[place], zip(range(*place.indices(len(skus))))  # each as a tuple of one
    return list(map(BatchItem, skus, skus, skus, places, rows[place]))


def batch_size(operation: str, rule: BatchRule, wanted: int | None, context: Context) -> int:
    """Return the rows per request: the caller's number, the settings', or the rule's.

    Raises:
        InvalidInputError: the number is not an int, is below 1, or is above a documented limit.
    """
    size = context.batch_sizes.get(operation, rule.limit) if wanted is None else own_form(wanted)
    if type(size) is not int or size < 1 or (rule.documented and size > rule.limit):
        most = f"to {rule.limit}, the documented limit of {operation}" if rule.documented else "up"
        raise InvalidInputError([Problem(f"must be from 1 {most}", field="batch_size", value=repr(size)[:_SHOWN])])
    return size


def check_iterable(inputs: Any, name: str, model: type[WireModel] | None = None) -> Iterable[Any]:
    """Return *inputs* if it is a list of items; of SKUs, without a *model*.

    Raises:
        InvalidInputError: it is one item, a table or a column of other values, or cannot be iterated.
    """
    kind, advice = type(inputs).__name__, ""
    column = getattr(inputs, "name", None) if hasattr(inputs, "dtype") else None
    if hasattr(inputs, "columns") and hasattr(inputs, "shape"):  # a DataFrame: iterating gives its column names
        if model is not None:
            advice = f"pass items_from_frame(df, {model.__name__}), of octopus_soap.tables"
        else:
            found = [str(each) for each in inputs.columns if is_sku_name(str(each))] or ["sku"]
            advice = f"pass df[{found[0]!r}]"
    elif model is None and isinstance(column, str) and column and not is_sku_name(column):
        kind, advice = f"{kind} of the column {column!r}", "pass df['sku'], or list(series) if it holds SKUs"
    elif isinstance(inputs, dict) and model is None:
        advice = "pass list(d) for its keys, or [d['sku']] for one item"
    elif isinstance(inputs, WireModel) and model is None:
        advice = _key_in(inputs, "sku", listed=True)
    elif isinstance(inputs, (str, bytes, dict, WireModel)) or not isinstance(
        inputs, Iterable
    ):  # iterables, but no lists
        if model is None:
            advice = "for one SKU pass [sku]"
        elif isinstance(inputs, (model, dict)):
            advice = f"for one {'order' if 'Order' in model.__name__ else 'item'} pass [{name.removesuffix('s')}]"
        else:
            advice = f"pass a list of {model.__name__}"
    else:
        return inputs
    what = "SKUs" if model is None else "items"
    raise InvalidInputError([Problem(f"expected an iterable of {what}, not {_a(kind)}; {advice}", field=name)])


def is_sku_name(column: str) -> bool:
    """True if the name of a *column* means SKUs."""
    folded = column.casefold().replace("_", "").replace(" ", "").replace("-", "")
    return "sku" in folded or "sku" in OTHER_NAMES.get(folded, ())


_ROW = attrgetter("row")


class BatchInputs:
    """The inputs of one list call: checked, merged, encoded, and cut into batches.

    Args:
        guard: decides what the call may leave out; None if it may leave out anything.
        reading: True if two different inputs may have one key, because nothing is written.
        streaming: True to check inputs as they come, batch by batch; otherwise all are checked now.

    Attributes:
        total: inputs in all; None for a stream.

    Raises:
        InvalidInputError: inputs are refused (all of them are listed), or the batch size is.
    """

    def __init__(
        self,
        operation: str,
        rule: BatchRule,
        call: ListCall[Any],
        account_id: SecretStr,
        context: Context,
        *,
        guard: OmissionGuard | None,
        reading: bool,
        streaming: bool,
    ) -> None:
        self.total: int | None = None
        self._checked: Callable[[slice], list[BatchItem]] = [].__getitem__
        self._operation, self._call, self._context = operation, call, context
        self._guard, self._reading = guard, reading
        self._left_out: dict[str, type[WireModel]] = {}
        self._size = batch_size(operation, rule, call.batch_size, context)
        requests = context.codec.requests(operation)
        self._head, self._tail = requests.frame({"accountID": account_id}, rule.listed)
        self._around = len(self._head) + len(self._tail)
        self._write_row = requests.row_writer(rule.listed)
        model = call.check.model if isinstance(call.check, ModelCheck) else None
        inputs = check_iterable(call.inputs, rule.argument, model)
        self._items = self._as_they_come(inputs) if streaming else iter(())
        if not streaming:
            given = list(inputs)
            self.total = len(given)
            self._checked = self._all_plain(given, rule.listed) or self._all_checked(given).__getitem__

    @property
    def checked(self) -> list[BatchItem]:
        """The inputs that were checked before any is sent; none for a stream."""
        return self._checked(slice(None))

    def batches(self) -> Iterator[list[BatchItem]]:
        """Yield the batches, each as large as has worked so far."""
        pending: BatchItem | None = None
        while self.total is None:
            batch, pending = self._next_batch(pending)
            if not batch:
                return
            yield batch
        start, most = 0, self._context.max_request_bytes - self._around
        while batch := self._checked(slice(start, start + self._context.memory.rows(self._operation, self._size))):
            sizes = list(map(len, map(_ROW, batch)))
            if len(batch) > 1 and sum(sizes) > most:
                room = accumulate(sizes)
                del batch[max(1, sum(1 for size in room if size <= most)) :]
            start += len(batch)
            yield batch

    def body(self, batch: list[BatchItem]) -> bytes:
        """Return the envelope of a request for *batch*."""
        return b"".join((self._head, *map(_ROW, batch), self._tail))

    def resplit(self, batch: list[BatchItem]) -> Iterator[list[BatchItem]]:
        """Cut *batch* again by bytes, because `read_first` has made rows longer."""
        piece: list[BatchItem] = []
        size = self._around
        for entry in batch:
            if piece and size + len(entry.row) > self._context.max_request_bytes:
                yield piece
                piece, size = [], self._around
            piece.append(entry)
            size += len(entry.row)
        if piece:
            yield piece

    def encode(self, entry: BatchItem) -> None:
        """Encode the row of *entry*.

        Raises:
            InvalidInputError: the contract in force does not accept one of its values.
        """
        try:
            entry.row = self._write_row(entry.value)
        except InvalidInputError as error:
            located = [replace(p, index=entry.indices[0], key=entry.key) for p in error.problems]
            raise InvalidInputError(located) from None

    def _all_plain(self, inputs: list[Any], listed: str) -> Callable[[slice], list[BatchItem]] | None:
        """Return a function that makes items of valid SKUs, all different; or None.

        Lists of SKUs are long, and nearly all are like that. Other inputs are checked one by one, which finds their
        problems.
        """
        if self._call.check is not sku or self._guard is not None or set(map(type, inputs)) != {str}:
            return None
        if not all(inputs) or max(map(len, inputs)) > SKU_LENGTH or len(set(inputs)) < len(inputs):
            return None
        rows = self._context.codec.requests(self._operation).text_rows(listed)(inputs)
        if rows is None:
            return None
        return partial(_plain_items, inputs, rows)

    def _all_checked(self, inputs: list[Any]) -> list[BatchItem]:
        entries: dict[str, BatchItem] = {}
        problems: list[Problem] = []
        for index, given in enumerate(inputs):
            self._take(index, given, entries, problems)
        if problems:
            raise InvalidInputError(problems, remedy=self._remedy())
        return list(entries.values())

    def _as_they_come(self, inputs: Iterable[Any]) -> Iterator[BatchItem]:
        for index, given in enumerate(inputs):
            alone: dict[str, BatchItem] = {}
            problems: list[Problem] = []
            self._take(index, given, alone, problems)
            if problems:
                sent = f"the batch of input {index} and what follows it was not sent"
                raise InvalidInputError(problems, sent=sent, remedy=self._remedy())
            yield from alone.values()

    def _take(self, index: int, given: Any, entries: dict[str, BatchItem], problems: list[Problem]) -> None:
        """Check one input, and add it to *entries*, or its problems to *problems*."""
        key, value, found = self._call.check(given)
        if self._context.strict_lengths and not found:
            found = length_problems(value)
        if found:
            problems += [replace(p, index=index, key=p.key or key or None) for p in found]
            return
        same = entries.get(key)
        if same is not None:
            if same.value == value:
                same.indices += (index,)
            elif not self._merge(same, value, (index,)):
                problems.append(_differs(same, index))
            return
        if self._guard is not None:
            names = self._guard.refused(value)
            if names:
                problems.append(omission_problem(type(value), names, key, index))
                self._left_out |= dict.fromkeys(names, type(value))
                return
        entry = BatchItem(key, given, value, (index,))
        try:
            entry.row = self._write_row(value)
        except InvalidInputError as error:
            problems += [replace(p, index=index, key=key) for p in error.problems]
        else:
            entries[key] = entry

    def _remedy(self) -> str:
        model = next(iter(self._left_out.values()), None)
        return "" if model is None or self._guard is None else self._guard.remedy(model, self._left_out)

    def _next_batch(self, first: BatchItem | None) -> tuple[list[BatchItem], BatchItem | None]:
        """Take items up to the limits; the item that did not fit opens the next batch."""
        limit = self._context.memory.rows(self._operation, self._size)
        batch: dict[str, BatchItem] = {}
        size = self._around
        while True:
            entry, first = first or next(self._items, None), None
            if entry is None:
                return list(batch.values()), None
            same = batch.get(entry.key)
            if same is not None and same.value == entry.value:
                same.indices += entry.indices
                continue
            if same is not None and not self._reading:
                before = len(same.row)
                if not self._merge(same, entry.value, entry.indices):
                    raise InvalidInputError([_differs(same, entry.indices[0])])
                size += len(same.row) - before
                continue
            too_long = batch and size + len(entry.row) > self._context.max_request_bytes
            if same is not None or len(batch) >= limit or too_long:
                return list(batch.values()), entry
            batch[entry.key] = entry
            size += len(entry.row)

    def _merge(self, same: BatchItem, value: Any, indices: tuple[int, ...]) -> bool:
        """Add the stores of *value* to *same*; False if they differ in more than stores."""
        merged = merged_stores(same.value, value)
        if merged is not None:
            same.value = same.input = merged
            same.indices += indices
            same.row = self._write_row(merged)
        return merged is not None


def merged_stores(one: Any, other: Any) -> Any:
    """Merge two rows of one SKU that differ in their stores only; None for others."""
    if type(one) is not type(other) or not isinstance(one, (models.ItemQuantityAndPrice, models.InventoryItem)):
        return None
    rows, more = one.store_stock_info_list or [], other.store_stock_info_list or []
    if not rows or not more or {row.store_id for row in rows} & {row.store_id for row in more}:
        return None
    both = one.replace(store_stock_info_list=None), other.replace(store_stock_info_list=None)
    return one.replace(store_stock_info_list=[*rows, *more]) if both[0] == both[1] else None


def _differs(same: BatchItem, index: int) -> Problem:
    return Problem(f"differs from [{same.indices[0]}], which has the same key; send one of them", index, same.key)
