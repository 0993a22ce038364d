"""Debian's Chromium, driven by Playwright; without it the tests are skipped.

Contexts record what must not happen on any page: a request to another origin, a dialog, an error in the browser's
console (a breach of the Content-Security-Policy is one).
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000
"""Milliseconds until an element must be there; it is only late on a very busy machine."""
AXE = Path(__file__).resolve().parents[2] / "build/axe/node_modules/axe-core/axe.min.js"


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium, or skip the test with the reason."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed: .ci/chromium installs Debian's")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make .venv/.dev")
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0][:200]}")
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def pages_of(browser: Any, base: str, **options: Any) -> Iterator[Any]:
    """Open a page in a new context; at the end, check that nothing forbidden happened."""
    strays: list[str] = []
    context = browser.new_context(base_url=base, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("request", lambda request: None if request.url.startswith(base) else strays.append(request.url))
    page.on("dialog", lambda dialog: (strays.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: strays.append(f"error {error}"))
    page.on("console", lambda line: strays.append(f"console: {line.text}") if line.type == "error" else None)
    try:
        yield page
        assert strays == []
    finally:
        context.close()


BLEMISHES = """() => {
  const found = [];
  const shown = (e) => e.checkVisibility() && !e.closest('.hidden') && !e.closest('.skip');
  const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = numbers(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window: ' + document.documentElement.scrollWidth);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  ids.filter((id, place) => ids.indexOf(id) !== place).forEach((id) => found.push('id twice: ' + id));
  document.querySelectorAll('input:not([type=hidden]), select, button, summary, a[href]').forEach((e) => {
    const name = e.getAttribute('aria-label') || (e.labels && [...e.labels].map((l) => l.textContent).join('')) || e.textContent;
    if (!name.trim() && !e.querySelector('img[alt]')) found.push('no name: ' + e.outerHTML.slice(0, 120));
  });
  document.querySelectorAll('img:not([alt])').forEach((e) => found.push('no alt: ' + e.src));
  if (document.querySelectorAll('h1').length !== 1) found.push('h1: ' + document.querySelectorAll('h1').length);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(e) || e.closest(':disabled, option, script')) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return found;
}"""
"""Finds pages that are too wide, double ids, controls without a name, low contrast."""


def blemishes(page: Any, *, axe: bool = True) -> list[str]:
    """Return the accessibility problems of a page, with axe if it is installed."""
    found: list[str] = page.evaluate(BLEMISHES)
    if axe and AXE.exists():
        page.evaluate(AXE.read_text(encoding="utf-8") + "\n;0")
        found += page.evaluate(
            "() => axe.run({resultTypes: ['violations']}).then((r) => r.violations.map("
            "(v) => `axe ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 150)).join(' | ')}`))"
        )
    return found
