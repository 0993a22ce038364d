"""The HTTP rules that both clients share."""

from __future__ import annotations

import gzip
import zlib

import pytest

from octopus_soap._http import (
    BodyCodingError,
    BodyTooLongError,
    Inflater,
    clip,
    fits_header,
    is_loopback,
    no_cookies,
    retry_after,
    without_logins,
)
from tests.every import every

TEXT = b"<a>" + b"stock " * 500 + b"</a>"
_raw = zlib.compressobj(wbits=-15)
RAW_DEFLATE = _raw.compress(TEXT) + _raw.flush()
BODIES = {
    "plain": ("", TEXT),
    "identity": ("identity", TEXT),
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("X-GZip", gzip.compress(TEXT)),
    "identity and gzip": ("identity, gzip", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without its wrapper": ("deflate", RAW_DEFLATE),
    "gzip of two members": ("gzip", gzip.compress(TEXT[:700]) + gzip.compress(TEXT[700:])),
    "gzip with padding": ("gzip", gzip.compress(TEXT) + b"\0" * 64),
}


def inflated(coding: str, body: bytes, size: int, limit: int = 1 << 20) -> bytes:
    inflater = Inflater(coding, limit)
    made = b"".join(inflater.feed(body[start : start + size]) for start in range(0, len(body), size))
    inflater.end()
    return made


@every("size", [1, 2, 7, 4096])
@every("name", BODIES)
def test_a_body_is_the_same_however_it_arrives(name: str, size: int) -> None:
    assert inflated(*BODIES[name], size) == TEXT


@every("coding", ["gzip, gzip", "deflate, gzip", "gzip,gzip,gzip", "br", "zstd", "gzip2"])
def test_codings_on_top_of_each_other_and_unknown_ones_are_refused(coding: str) -> None:
    with pytest.raises(BodyCodingError, match="is not read"):
        Inflater(coding, 100)


@every("coding", ["gzip", "deflate"])
def test_no_more_is_made_of_a_body_than_allowed(coding: str) -> None:
    bomb = b"\0" * 5_000_000
    packed = gzip.compress(bomb) if coding == "gzip" else zlib.compress(bomb)
    with pytest.raises(BodyTooLongError):
        inflated(coding, packed, len(packed), limit=1000)


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert inflated("gzip", gzip.compress(TEXT), 4096, limit=len(TEXT)) == TEXT
    with pytest.raises(BodyTooLongError):
        inflated("", TEXT, 4096, limit=len(TEXT) - 1)


@every(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(TEXT)[:-3]),
        ("gzip", gzip.compress(TEXT) + b"junk"),
        ("gzip", b"not compressed at all"),
        ("gzip", b"\x1f"),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        ("deflate", zlib.compress(TEXT)[:-5]),
        ("deflate", b"?"),
        ("deflate", zlib.compress(TEXT) + b"junk"),
    ],
    ids=range(8),
)
def test_damaged_and_cut_bodies_are_errors_and_not_shorter_bodies(coding: str, body: bytes) -> None:
    with pytest.raises(BodyCodingError):
        inflated(coding, body, 5)


def test_an_empty_body_needs_no_compressed_form() -> None:
    assert inflated("gzip", b"", 5) == b""


@every(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "9" * 200}, 999_999_999.0),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 1998 07:27:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@every(
    ("value", "fits"),
    [("abc", True), ("a b", True), ("", False), (" a", False), ("a\n", False), ("a\nb", False), ("é", False)],
)
def test_what_fits_a_header(value: str, *, fits: bool) -> None:
    assert fits_header(value) is fits


@every("url", ["http://localhost/x", "http://a.localhost:1", "http://127.9.9.9", "https://[::1]:5/"])
def test_this_machine_is_known_by_its_addresses(url: str) -> None:
    assert is_loopback(url)


@every("url", ["http://localhost.example", "http://10.0.0.1", "http://[::1", "", "127.0.0.1"])
def test_other_machines_and_no_addresses_are_not_this_machine(url: str) -> None:
    assert not is_loopback(url)


@every(
    ("text", "shown"),
    [
        ("Failed to parse: http://user:pa55word@h:port", "Failed to parse: http://***@h:port"),
        ("'http://user:pa55word@[::1', label too long", "'http://***@[::1', label too long"),
        ("http://us@er:p/a@h:1 refused", "http://***@h:1 refused"),
        ("http://token@h", "http://***@h"),
        ("user:pa55word@h:1", "***@h:1"),
        ("no login: at 10:30, mail a@example.com", "no login: at 10:30, mail a@example.com"),
    ],
)
def test_logins_in_addresses_are_left_out_of_what_a_library_repeats(text: str, shown: str) -> None:
    assert without_logins(text) == shown


def test_clipping_counts_bytes_and_notes_the_length() -> None:
    assert clip("short", 10) == "short"
    assert clip("x" * 900, 800) == f"{'x' * 776}… (900 characters)"
    assert len(clip("é" * 900, 800).encode()) <= 800


def test_the_jar_keeps_nothing() -> None:
    policy = no_cookies()._policy  # type: ignore[attr-defined] # noqa: SLF001 - typeshed leaves it out, and the jar does not show it
    assert policy.allowed_domains() == ()
