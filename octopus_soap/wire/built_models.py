"""Models built directly of values that have their types, as pydantic would build them, and several times as fast.

A model is built so only if pydantic's own strict schema of it checks nothing but types and ranges that the readers
guarantee; `is_plain` says of which that is true. Part of the fast rows, see `fast_rows`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel

from octopus_soap.wire.row_forms import QUICK
from octopus_soap.wire.values import read_int

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octopus_soap.models.base import WireModel
    from octopus_soap.wire.readers import FieldReader, Reader

_NAME_SETS = 500


class SharedNames(set[str]):
    """`model_fields_set` of many records at once; it refuses changes, which would be changes of all of them."""

    __slots__ = ()

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("model_fields_set is shared by records alike; make a changed copy: replace, without")

    add = discard = remove = update = difference_update = intersection_update = symmetric_difference_update = _refuse
    clear = pop = __ior__ = __iand__ = __isub__ = __ixor__ = _refuse

    def copy(self) -> set[str]:
        """A set of its own."""
        return set(self)

    __copy__ = copy

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)


_set_dict, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


@cache
def maker(model: type[WireModel]) -> Callable[[dict[str, Any]], WireModel]:
    """What makes a *model* of its members as pydantic would, if they have their types; see `is_plain`."""
    fields = frozenset(model.model_fields)
    defaults = dict.fromkeys(model.model_fields)
    # By the members in their order: pages repeat that, too, and a tuple is made faster than a set.
    known: dict[tuple[str, ...], tuple[SharedNames, tuple[str, ...]]] = {}
    alike: dict[frozenset[str], SharedNames] = {}

    def make(data: dict[str, Any]) -> WireModel:
        order = tuple(data)
        found = known.get(order)
        if found is None:
            if len(known) >= _NAME_SETS:
                known.clear()
                alike.clear()
            names = alike.setdefault(frozenset(order), SharedNames(order))
            found = known[order] = (names, tuple(name for name in order if name not in fields))
        names, extra = found
        record = model.__new__(model)
        if extra:
            _set_extra(record, {name: data.pop(name) for name in extra})
        else:
            _set_extra(record, {})
        _set_dict(record, {**defaults, **data})
        _set_names(record, names)
        _set_private(record, None)
        return record

    return make


_CONFIG = frozenset(
    ["extra_fields_behavior", "validate_by_name", "validate_by_alias", "hide_input_in_errors", "ser_json_inf_nan"]
)
"""What a model's configuration may have besides its title, and still be built directly."""
_TYPES: dict[str, dict[str, Any]] = {
    "str": {},
    "bool": {},
    "decimal": {"allow_inf_nan": False},
    "float": {"allow_inf_nan": False},
    "datetime": {"tz_constraint": "aware", "microseconds_precision": "truncate"},
    "int": {},
}
"""By type in pydantic's schema: the constraints that each reader of `values.py` fulfils."""
_NOT_CHECKS = frozenset({"metadata", "serialization", "ref"})


@cache
def is_plain(model: type[WireModel]) -> bool:
    """True if pydantic's strict validation of *model* checks types and ranges, and nothing else that we know of."""
    return _plain_fields(model) is not None


@cache
def _plain_fields(model: type[WireModel]) -> Mapping[str, tuple[int, int] | None] | None:
    """The fields of a plain model, with the range of whole numbers; None if the model is not plain."""
    if not model.__pydantic_complete__:
        model.model_rebuild()
    schema: Any = model.__pydantic_core_schema__
    shared: dict[str, Any] = {}
    if schema["type"] == "definitions":
        shared = {part["ref"]: part for part in schema["definitions"]}
        schema = schema["schema"]
    schema = _strict(schema, shared)
    config = schema.get("config", {})
    if (
        schema["type"] != "model"
        or schema.get("custom_init")
        or schema.get("root_model")
        or not schema.keys() <= {"type", "cls", "schema", "config", "custom_init", "root_model"} | _NOT_CHECKS
        or not config.keys() <= _CONFIG | {"title"}
        or config.get("extra_fields_behavior") != "allow"
    ):
        return None
    inner = schema["schema"]
    if inner["type"] != "model-fields" or inner.keys() - _NOT_CHECKS - {
        "type",
        "fields",
        "model_name",
        "computed_fields",
    }:
        return None
    ranges: dict[str, tuple[int, int] | None] = {}
    for name, field in inner["fields"].items():
        default = field["schema"]
        nullable = default.get("schema", {})
        if (
            default["type"] != "default"
            or default.get("default", ...) is not None
            or nullable.get("type") != "nullable"
        ):
            return None
        checked = _strict(nullable["schema"], shared)
        if not _is_type(checked, shared):
            return None
        ranges[name] = (checked["ge"], checked["le"]) if "ge" in checked else None
    return ranges


def _strict(schema: Any, shared: Mapping[str, Any]) -> Any:
    """The part of a schema that validates what a reader made; *shared*: definitions by their names."""
    while schema["type"] in {"lax-or-strict", "definition-ref"}:
        schema = shared[schema["schema_ref"]] if schema["type"] == "definition-ref" else schema["strict_schema"]
    return schema


def _is_type(schema: Any, shared: Mapping[str, Any]) -> bool:
    """True if *schema* checks what a reader guarantees."""
    kind, checks = schema["type"], {name: value for name, value in schema.items() if name not in _NOT_CHECKS | {"type"}}
    if kind == "list":
        inner = _strict(checks.pop("items_schema", {"type": "any"}), shared)
        return not checks.keys() - {"strict"} and inner["type"] == "model" and is_plain(inner["cls"])
    if kind == "model":
        return is_plain(schema["cls"])
    if kind == "enum":  # a reader makes a member, which pydantic takes as it is
        return checks.keys() <= {"cls", "members", "missing", "sub_type", "strict"}
    if kind == "int" and checks.keys() >= {"ge", "le"}:
        checks = {name: value for name, value in checks.items() if name not in {"ge", "le"}}
    return kind in _TYPES and checks == {**_TYPES[kind], "strict": True}


def bounded(model: type[WireModel], slot: FieldReader) -> Reader:
    """The reader of a scalar member that also checks the range pydantic would check."""
    assert slot.reader is not None  # noqa: S101 - the caller looked
    fields = _plain_fields(model)
    limits = None if fields is None else fields.get(slot.attribute)
    return QUICK.get(slot.reader, slot.reader) if limits is None else _whole(*limits)


@cache
def _whole(least: int, most: int) -> Reader:
    """A reader of whole numbers in a range."""

    def read(text: str) -> int | None:
        value = read_int(text)
        if value is not None and not least <= value <= most:
            raise ValueError("out of range")
        return value

    return read
