"""Set the version everywhere: `python tests/release/new_version.py 1.0.0rc1`.

It is in the package, the heading of the changelog, and the citation. `make release VERSION=...` runs this, compiles the
contract again (it is bound to the version), and builds and checks what would be published. It commits and publishes
nothing.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]


def set_version(root: Path, text: str, date: str) -> list[str]:
    """Write the version into the files under *root*, and return their names.

    Raises:
        ValueError: it is no version, not newer than the present one, or the changelog has nothing of it.
    """
    try:
        version = Version(text)
    except InvalidVersion:
        raise ValueError(f"{text!r} is no version: write it as 1.0.0 or 1.0.0rc1 (PEP 440)") from None
    place = root / "octopus_soap" / "_version.py"
    found = re.search(r'__version__ = "([^"]+)"', place.read_text(encoding="utf-8"))
    assert found is not None, place
    if version <= Version(found[1]):
        raise ValueError(f"{version} is not newer than {found[1]}")
    changelog = root / "CHANGELOG.md"
    log = changelog.read_text(encoding="utf-8")
    news = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", log, re.DOTALL | re.MULTILINE)
    if news is None or not news[1].strip():
        raise ValueError("CHANGELOG.md has nothing under `## Unreleased`: write down what changed for users")
    place.write_text(
        place.read_text(encoding="utf-8").replace(found[0], f'__version__ = "{version}"'), encoding="utf-8"
    )
    changelog.write_text(
        log.replace("## Unreleased\n", f"## Unreleased\n\n## {version} ({date})\n", 1), encoding="utf-8"
    )
    citation = root / "CITATION.cff"
    words = re.sub(r"^(version|date-released): .*\n", "", citation.read_text(encoding="utf-8"), flags=re.MULTILINE)
    citation.write_text(
        words.replace("type: software\n", f"type: software\nversion: {version}\ndate-released: {date}\n", 1),
        encoding="utf-8",
    )
    return [path.name for path in (place, changelog, citation)]


if __name__ == "__main__":
    try:
        written = set_version(ROOT, sys.argv[1] if len(sys.argv) > 1 else "", datetime.now(UTC).date().isoformat())
    except ValueError as error:
        sys.exit(f"not released: {error}")
    sys.stdout.write(f"version {sys.argv[1]} in {', '.join(written)}\n")
