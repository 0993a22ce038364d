# ruff: noqa: INP001 - run as a script, and loaded by the tests by its path
"""Draw `docs/img/architecture.svg` from the imports of the package.

Run `python docs/hooks/diagram.py`. A box is a module or package directly under `octopus_soap`; an arrow is an import
that runs. Arrows that follow from others are left out. A test draws the picture again and compares.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "octopus_soap"
DRAWING = ROOT / "docs" / "img" / "architecture.svg"
LEFT_OUT = {"__init__", "__main__", "_version", "_http"}

WIDE, HIGH, ACROSS, DOWN, EDGE, LANE = 94, 34, 12, 40, 12, 16
COLOURS = {"io": "#00695c", "pure": "#3949ab", "people": "#8d5a00"}
WORDS = {"people": "for people and programs", "io": "sends, waits, stores", "pure": "decides, no I/O"}
KINDS = {
    "people": {"cli", "client", "demo", "display", "tables", "plots", "testing", "progress"},
    "io": {"transport", "emulator", "jobs", "octopia"},
}


def arrows() -> dict[str, set[str]]:
    """Return the parts that each part imports at run time."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in LEFT_OUT:
            reached = found.setdefault(part, set())
            reached |= _imported(ast.parse(path.read_text(encoding="utf-8"))) - {part} - LEFT_OUT
    return found


def _imported(tree: ast.AST) -> set[str]:
    parts: set[str] = set()
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):  # expressions contain no imports
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        names: list[str] = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and not child.level:
            inside = child.module == "octopus_soap"
            names = [f"octopus_soap.{alias.name}" for alias in child.names] if inside else [child.module or ""]
        for name in names:
            words = name.split(".")
            if words[0] == "octopus_soap" and len(words) > 1:
                parts |= {_part(words[1])}
        parts |= _imported(child)
    return parts


def _part(name: str) -> str:
    if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists():
        return name
    import octopus_soap  # noqa: PLC0415 - only if a public name is imported from the top

    return str(octopus_soap._HOME_OF.get(name, "__init__")).split(".")[0]  # noqa: SLF001 - the table of homes


def drawn(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return *graph* without the arrows that follow from others."""

    @cache
    def beyond(part: str) -> set[str]:
        return set().union(*({target} | beyond(target) for target in graph.get(part, ())))

    return {p: {t for t in ts if not any(t in beyond(o) for o in ts - {t})} for p, ts in graph.items()}


def rows(graph: dict[str, set[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of parts from top to bottom, and the places each arrow passes.

    A part is just below the lowest part that imports it. A long arrow has its own place in every row that it passes, so
    that it runs behind no box.
    """
    level: dict[str, int] = {}
    for part in TopologicalSorter(graph).static_order():
        level[part] = 1 + max((level[target] for target in graph.get(part, ())), default=-1)
    top = max(level.values())
    for part in reversed([*TopologicalSorter(graph).static_order()]):  # each just below the parts that import it
        level[part] = min((level[o] for o, targets in graph.items() if part in targets), default=top + 1) - 1
    found = [sorted(p for p in level if level[p] == n) for n in range(top, -1, -1)]
    paths = []
    for part in sorted(graph):
        for target in sorted(graph[part]):
            between = [f"{part}>{target}>{n}" for n in range(level[part] - 1, level[target], -1)]
            for n, name in zip(range(level[part] - 1, level[target], -1), between, strict=True):
                found[top - n].append(name)
            paths.append([part, *between, target])
    return _untangled(found, paths), paths


def _neighbours(paths: list[list[str]]) -> dict[str, set[str]]:
    near: dict[str, set[str]] = {}
    for path in paths:
        for one, other in pairwise(path):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    return near


def _untangled(found: list[list[str]], paths: list[list[str]]) -> list[list[str]]:
    near = _neighbours(paths)
    place = _across(found)
    for _ in range(60):
        for row in found:
            wish = {p: fmean(place[o] for o in near[p]) if p in near else place[p] for p in row}
            row.sort(key=lambda p, wish=wish: (wish[p], p))
            place |= _across([row])
    return found


def _width(name: str) -> int:
    return LANE if ">" in name else WIDE + ACROSS


def _across(found: list[list[str]]) -> dict[str, float]:
    """Return the middle of each part, from the middle of the drawing."""
    places: dict[str, float] = {}
    for row in found:
        x = -sum(map(_width, row)) / 2
        for name in row:
            places[name] = x + _width(name) / 2
            x += _width(name)
    return places


def _settled(found: list[list[str]], paths: list[list[str]]) -> dict[str, float]:
    """Place each part near the middle of its neighbours, without overlaps.

    The order of the row stays the same.
    """
    near, place = _neighbours(paths), _across(found)
    for _ in range(80):
        for row in found:
            wish = [fmean(place[o] for o in near[p]) if p in near else place[p] for p in row]
            apart = [0.0, *((_width(a) + _width(b)) / 2 for a, b in pairwise(row))]
            right, left = wish[:], wish[:]
            for n in range(1, len(row)):
                right[n] = max(right[n], right[n - 1] + apart[n])
            for n in range(len(row) - 2, -1, -1):
                left[n] = min(left[n], left[n + 1] - apart[n + 1])
            place |= {p: (r + x) / 2 for p, r, x in zip(row, right, left, strict=True)}
    return place


def svg() -> str:
    """Return the drawing."""
    graph = drawn(arrows())
    found, paths = rows(graph)
    height = EDGE * 2 + len(found) * (HIGH + DOWN)
    settled = _settled(found, paths)
    left = min(x - _width(name) / 2 for name, x in settled.items())
    width = round(max(x + _width(name) / 2 for name, x in settled.items()) - left) + 2 * EDGE
    spots = {name: (EDGE + x - left, 0.0) for name, x in settled.items()}
    for n, row in enumerate(found):
        for name in row:
            spots[name] = (spots[name][0], EDGE + n * (HIGH + DOWN) + HIGH / 2)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            ' font-family="system-ui, sans-serif" font-size="16">'
        ),
        "<title>The parts of octopus_soap, and which imports which</title>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#888"/></marker></defs>'
        ),
    ]
    lines += [_line([spots[name] for name in path]) for path in paths]
    lines += [_box(name, spots[name], _kind(name)) for row in found for name in row if ">" not in name]
    return "\n".join([*lines, *_legend(height - 22), "</svg>", ""])


def _kind(part: str) -> str:
    return next((kind for kind, parts in KINDS.items() if part in parts), "pure")


def _line(points: list[tuple[float, float]]) -> str:
    (x, y), (end, bottom) = points[0], points[-1]
    drawn_to = f"M{x:.0f} {y + HIGH / 2:.0f}"
    y += HIGH / 2
    for px, py in points[1:-1]:
        bend = (py - HIGH / 2 - y) / 2
        drawn_to += f"C{x:.0f} {y + bend:.0f} {px:.0f} {y + bend:.0f} {px:.0f} {py - HIGH / 2:.0f}V{py + HIGH / 2:.0f}"
        x, y = px, py + HIGH / 2
    tip = bottom - HIGH / 2 - 1
    bend = (tip - y) / 2
    drawn_to += f"C{x:.0f} {y + bend:.0f} {end:.0f} {tip - bend:.0f} {end:.0f} {tip:.0f}"
    return f'<path d="{drawn_to}" fill="none" stroke="#888" stroke-width="1.4" marker-end="url(#tip)"/>'


def _box(part: str, spot: tuple[float, float], kind: str) -> str:
    x, y = spot
    return (
        f'<rect x="{x - WIDE / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{WIDE}" height="{HIGH}" rx="6" '
        f'fill="{COLOURS[kind]}"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="#fff">{part}</text>'
    )


def _legend(y: float) -> list[str]:
    found, x = [], float(EDGE)
    for kind, words in WORDS.items():
        found.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="13" height="13" rx="3" fill="{COLOURS[kind]}"/>'
            f'<text x="{x + 18:.0f}" y="{y + 11:.0f}" font-size="14" fill="#888">{words}</text>'
        )
        x += 42 + 7.0 * len(words)
    return found


if __name__ == "__main__":
    DRAWING.write_text(svg(), encoding="utf-8")
    print(f"wrote {DRAWING.relative_to(ROOT)}")  # noqa: T201 - a script's own words
