"""The errors: the drawn tree is right; small, picklable, with facts as attributes."""

import copy
import inspect
import pickle
import re

from octopus_soap import errors as package_errors
from octopus_soap.octopia import errors
from octopus_soap.octopia.errors import ApiError, OctopiaError, OfferPackageError, TokenError
from tests.every import every

CLASSES = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, OctopiaError)]


def test_no_error_has_the_name_of_one_of_the_package() -> None:
    """A class of the same name with another base would slip through an `except`."""
    assert not {cls.__name__ for cls in CLASSES} & set(vars(package_errors))
    assert all(issubclass(cls, package_errors.OctopusError) for cls in CLASSES)
    for own, shared in {
        errors.OctopiaConfigError: package_errors.ConfigError,
        errors.OctopiaTransportError: package_errors.TransportError,
        errors.OctopiaOutcomeUnknownError: package_errors.OutcomeUnknownError,
        errors.OctopiaProtocolError: package_errors.ProtocolError,
    }.items():
        assert issubclass(own, shared)


def sample(cls: type[OctopiaError], message: str = "m") -> OctopiaError:
    if issubclass(cls, ApiError):
        return cls(
            message, call="GET /x", status=400, fields={"f": ("a",)}, retry_after=2.0, seller_id="5", trace_id="t"
        )
    if issubclass(cls, OfferPackageError):
        return cls(message, package_id="p", stage="closing", uploaded=7, cause=TokenError("x", status=500))
    return cls(message)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn: dict[str, str] = {}
    path: list[str] = []
    tree = errors.__doc__.split("```")[1]
    for line in tree.strip().splitlines():
        found = re.match(r"([│├└─ ]*)(\w+)", line)
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        drawn[found[2]] = path[depth - 1] if depth else "OctopusError"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


@every("cls", CLASSES, ids=lambda c: c.__name__)
def test_no_error_takes_the_hint_of_its_other_base(cls):
    assert not hasattr(sample(cls), "__notes__")


def test_other_worlds_named_in_the_tree_can_catch_them():
    assert issubclass(errors.OctopiaConfigError, ValueError)
    assert issubclass(errors.OctopiaInputError, ValueError)
    assert issubclass(errors.OctopiaTimeoutError, TimeoutError)


@every("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_error_survives_pickling_and_copying_with_all_its_facts(cls):
    error = sample(cls)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert str(twin) == str(error)
        assert twin.__dict__.keys() == error.__dict__.keys()
        assert {k: str(v) for k, v in twin.__dict__.items()} == {k: str(v) for k, v in error.__dict__.items()}


@every("cls", CLASSES, ids=lambda c: c.__name__)
@every("filler", ["x", "€", "\ud800"])
def test_a_message_stays_under_a_kilobyte(cls, filler):
    error = sample(cls, filler * 5000)
    assert len(str(error).encode()) < 1000
    assert len(pickle.dumps(error)) < 4096


@every("cls", CLASSES, ids=lambda c: c.__name__)
def test_facts_are_keywords_only_and_documented(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    assert parameters[0].name == "message"
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[1:])
    if "__init__" in vars(cls) and len(parameters) > 1:
        written = inspect.getsource(errors)
        assert all(re.search(rf"^    {p.name}: .+  # \w", written, re.MULTILINE) for p in parameters[1:])
