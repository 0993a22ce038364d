# ruff: noqa: INP001 - run as a script: python docs/hooks/notebook_picture.py
"""Take the README's picture of a notebook from its page of the site.

Run `make docs` first. It needs Debian's Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.console.browser import chromium  # noqa: E402 - found by the line above


def main() -> None:
    """Take the picture, from the heading "A few SKUs" to the end of its table."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 1400}, device_scale_factor=1.5)
        page.goto((ROOT / "site" / "tutorials" / "01_lookups.html").as_uri())
        places = "h2#a-few-skus", "text=InventoryItem DEMO-0001", "article"
        top, end, body = (page.locator(place).bounding_box() or {} for place in places)
        height = end["y"] - top["y"] - 60
        clip = {"x": body["x"] - 10, "y": top["y"] - 8, "width": body["width"] + 20, "height": height}
        page.screenshot(path=ROOT / "docs" / "img" / "notebook.png", clip=clip)


if __name__ == "__main__":
    main()
