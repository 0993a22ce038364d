"""`WireModel`, the base of the models of all data contracts.

The three states of a member have different meanings, in requests and replies:

* **unset**: not in `model_fields_set`. Written: left out. Read: the reply had no such element. The attribute is None.
* **None**: written as `xsi:nil="true"`. Read: the reply had `xsi:nil="true"`.
* **empty** (`""`, `[]`): written and read as an empty element.

Instances are frozen; `replace` makes a changed copy, in which unset members stay unset. A member of a reply that the
model does not have is kept in `model_extra` under its wire name. An unknown name in a caller's data is refused: a typo
in a price update costs money.
"""

from __future__ import annotations

from inspect import Parameter, Signature, get_annotations
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, core_schema

from octopus_soap import display
from octopus_soap.errors import InvalidInputError, Problem
from octopus_soap.models.scalars import own_form, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import ErrorDetails


def member(wire_name: str, description: str = "", *, most: int | None = None) -> Any:
    """Declare an optional member of a data contract by its wire name.

    Args:
        wire_name: its name on the wire.
        description: its meaning.
        most: the length the vendor's page gives, in characters. It is not enforced; see `strict_lengths`.
    """
    documented = "" if most is None else f"at most {most} characters"
    return Field(
        default=None,
        validation_alias=wire_name,
        serialization_alias=wire_name,
        description=", ".join(part for part in (description, documented) if part),
        json_schema_extra=None if most is None else {"x-documented-length": most},
    )


OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "qty": ("quantity", "stock", "form_quantity"),
    "quantity": ("stock",),
    "count": ("stock", "quantity"),
    "onhand": ("stock",),
    "inventory": ("stock",),
    "stockquantity": ("stock",),
    "stocklevel": ("stock",),
    "costprice": ("cost",),
    "purchaseprice": ("cost",),
    "unitcost": ("cost",),
    "sellingprice": ("price", "unit_price"),
    "retailprice": ("price",),
    "price": ("unit_price",),
    "name": ("description",),
    "title": ("description",),
    "ean": ("upc",),
    "gtin": ("upc",),
    "barcode": ("upc",),
    "itemnumber": ("sku",),
    "articlenumber": ("sku",),
    "productcode": ("sku",),
    "productid": ("sku",),
    "itemid": ("sku",),
    "status": ("payment_status_filter", "payment_status"),
    "since": ("order_creation_filter_begin_time_gmt",),
    "until": ("order_creation_filter_end_time_gmt",),
    "orderids": ("order_id_list",),
    "lines": ("order_items",),
    "items": ("order_items",),
    "postcode": ("zip",),
    "postalcode": ("zip",),
    "zipcode": ("zip",),
}
"""Names that other systems use, and the fields to suggest for them: the first that the model has."""


class GivenName(str):
    """The name of a member in a caller's `extra`, which is never dropped."""

    __slots__ = ()


class WireModel(display.Shown, BaseModel):
    """Base of the data contracts: snake_case attributes, wire names as aliases."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,
        hide_input_in_errors=True,
        ser_json_inf_nan="strings",
    )

    key_field: ClassVar[str] = ""
    """The attribute that identifies an item in errors and outcomes, such as `sku`."""

    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """Attributes whose values appear in no repr and no error."""

    read_aliases: ClassVar[dict[str, str]] = {}
    """Other names a reply may use for a member, with the attribute that holds it."""

    if TYPE_CHECKING:
        extra: Any = None
        """Not a member, but further members by wire name, which the contract in force has and the model has not."""

    if not TYPE_CHECKING:  # type checkers build the signature from the fields

        def __init__(self, **data: Any) -> None:
            """Build one from attributes or wire names; raises `InvalidInputError`."""
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise InvalidInputError(problems_of(type(self), error, data)) from None

        # pydantic calls an overridden __init__ from model_validate, unless it is marked as its own kind.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls._show_fields()

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        cls._show_fields()  # pydantic completes a class at its first use, and replaces its signature

    @classmethod
    def _show_fields(cls) -> None:
        # IPython shows this signature: the names that callers write, not the wire's, with their declared types.
        declared = {name: kind for base in reversed(cls.__mro__) for name, kind in get_annotations(base).items()}
        cls.__signature__ = Signature(
            [Parameter(n, Parameter.KEYWORD_ONLY, default=None, annotation=declared[n]) for n in cls.model_fields]
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A reply is validated in strict mode and keeps unknown members; an unknown name of a caller is refused.
        model = handler(source)
        checked = core_schema.no_info_wrap_validator_function(cls._checked, model)
        return core_schema.lax_or_strict_schema(lax_schema=checked, strict_schema=model)

    @classmethod
    def _checked(cls, data: Any, make: Callable[[Any], Any]) -> Any:
        if not isinstance(data, dict) or "extra" not in data:
            return make(cls._refuse_unknown_names(data))
        given = data["extra"] or {}
        if not isinstance(given, dict) or not all(isinstance(name, str) and name for name in given):
            raise refused("extra must be a dict of members by wire name")
        if known := [name for name in given if name in cls.wire_names() or name in cls.model_fields]:
            raise refused(f"{known[0]} is a member of {cls.__name__}: give it by name, not in extra")
        made = make(cls._refuse_unknown_names({name: value for name, value in data.items() if name != "extra"}))
        made.__pydantic_extra__.update({GivenName(name): value for name, value in given.items()})
        made.__pydantic_fields_set__.update(given)
        return made

    @classmethod
    def _refuse_unknown_names(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known, fields = cls.wire_names(), cls.model_fields  # looked up once: pydantic computes the second anew
        for name in data:
            if name not in fields and name not in known:
                near = cls.nearest(str(name))
                other = f"; if the contract in force has it, give it as extra={{{str(name)!r}: ...}}"
                hint = f"; did you mean {near!r}?" if near else other
                raise refused(f"{cls.__name__} has no field {name!r}{hint}")
        return data

    @classmethod
    def nearest(cls, name: str) -> str:
        """Return the field that *name* most likely means; empty if none is near."""
        folded = name.casefold()
        for field in OTHER_NAMES.get(folded.replace("_", "").replace(" ", ""), ()):
            if field in cls.model_fields:
                return field
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        # Ignoring case: the page itself writes Sku, SKU and sku.
        names = {accepted.casefold(): accepted for accepted in [*cls.wire_names(), *cls.model_fields]}
        near = get_close_matches(folded, names, n=1)
        return names[near[0]] if near else ""

    def __dir__(self) -> list[str]:
        """Return the names for completion, without those of pydantic."""
        return [n for n in super().__dir__() if n.startswith("__") or (n not in _PLUMBING and not n.startswith("_"))]

    @classmethod
    def wire_names(cls) -> dict[str, str]:
        """Return the attribute of each member, by wire name."""
        cached = cls.__dict__.get("_wire_names")
        if cached is None:
            cached = {str(field.serialization_alias or name): name for name, field in cls.model_fields.items()}
            cls._wire_names = cached
        return cached

    _wire_names: ClassVar[dict[str, str]]

    @classmethod
    def documented_lengths(cls) -> dict[str, int]:
        """Return the lengths in characters that the vendor's page gives, by attribute."""
        return {
            name: most
            for name, field in cls.model_fields.items()
            if isinstance(extra := field.json_schema_extra, dict)
            and isinstance(most := extra.get("x-documented-length"), int)
        }

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with *changes*; members unset here stay unset.

        Args:
            changes: attributes by their Python names; None writes `xsi:nil`.

        Raises:
            InvalidInputError: a name or value is not accepted.
        """
        return self._remade({**{name: getattr(self, name) for name in self.model_fields_set}, **changes})

    def __replace__(self, **changes: Any) -> Self:
        return self.replace(**changes)

    def without(self, *names: str) -> Self:
        """Return a copy with the attributes *names* unset, so that a write omits them."""
        return self._remade({n: getattr(self, n) for n in self.model_fields_set if n not in names})

    def with_received(self, members: Mapping[str, Any]) -> Self:
        """Return a copy with unknown *members* of a reply, by wire name.

        A write sends those that the contract in force has, and leaves the others out.
        """
        made = self.model_copy()
        if made.__pydantic_extra__ is not None:
            made.__pydantic_extra__.update(members)
            made.__pydantic_fields_set__.update(members)
        return made

    def _remade(self, values: dict[str, Any]) -> Self:
        # A changed copy keeps the unknown members of a reply, or a write would lose them.
        again = values.get("extra") or ()
        came = {n: values.pop(n) for n in (self.model_extra or {}) if n in values and n not in again}
        made = type(self)(**values)
        return made.with_received(came) if came else made

    def _view(self) -> display.View:
        return display.view_of_model(self)

    def __repr_args__(self) -> Any:
        # None is not shown: WCF sends every member without a value as nil, and they would hide the rest.
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        return [(name, "…" if name in self.secret_fields else value) for name, value in given.items()]


_PLUMBING = frozenset(
    {name for name in dir(BaseModel) if not name.startswith("_")}
    | {"key_field", "nearest", "read_aliases", "secret_fields", "wire_names", "with_received"}
)
"""Names of a model that are not members or methods of its data contract."""


def inner_type(annotation: Any) -> Any:
    """Return the type inside Annotated and Optional."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {UnionType, Union}:
            annotation = next(part for part in get_args(annotation) if part is not NoneType)
        else:
            return annotation


def problems_of(model: type[WireModel], error: ValidationError, data: Mapping[str, Any] | None = None) -> list[Problem]:
    """Return one `Problem` per wrong field of pydantic's *error*."""
    key = None
    if data is not None and model.key_field:
        found = data.get(model.key_field, data.get(str(model.model_fields[model.key_field].serialization_alias)))
        key = found if isinstance(found, str) else None
    return [_problem(model, details, key) for details in error.errors(include_url=False)]


def _problem(model: type[WireModel], details: ErrorDetails, key: str | None) -> Problem:
    message = details["msg"].removeprefix("Value error, ")
    field = ".".join(str(part) for part in details["loc"])
    named = {model.wire_names().get(str(part), part) for part in details["loc"]}
    shown = repr(own_form(details["input"])) if field and named.isdisjoint(model.secret_fields) else ""
    return Problem(
        message=message,
        key=key,
        field=f"{model.__name__}.{field}" if field else "",
        value=shown if len(shown) <= 60 else f"{shown[:57]}…",  # noqa: PLR2004 - enough to recognise it
    )
