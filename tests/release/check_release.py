"""Check what `make dist` built: `python tests/release/check_release.py`.

Contents of both files; installed in an empty environment on every Python the package supports, with the demo run from
there; the size of the extra `all`, with a bill of materials (CycloneDX) and a list of licences of what it installs,
written next to the wheel; and the tests against the wheel with the oldest dependencies it accepts and with the newest.
What cannot be checked here (a Python that is not installed) is named `absent`. Exit code 1: something is wrong.

Needs the dependency group `release` (build, twine, uv, cyclonedx-bom, pip-licenses).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from contents import ROOT, source_problems, wheel_problems
from pythons import WANTED, find

CORE = ["tests/wire", "tests/models", "tests/contract", "tests/emulator", "tests/operations", "tests/asynchronous",
        "tests/events", "tests/notebook", "tests/jobs", "tests/cli", "tests/demo", "tests/test_catalogue.py",
        "tests/test_exports.py", "tests/test_settings.py", "tests/test_testing.py"]  # fmt: skip
"""The tests that use every dependency; the others check this project's texts."""

QUICKER = ["--ignore-glob=*crash*"]
"""Killing the jobs at hundreds of moments takes minutes, and uses no other dependency."""

MOST_MEGABYTES = 400
"""The limit for `pip install 'octopus-soap[all]'`, with compiled files."""

FROM_WHEEL = """
import octopus_soap, sys
from octopus_soap.contracts.bundled import contract_path
assert "site-packages" in octopus_soap.__file__, octopus_soap.__file__
assert contract_path().is_relative_to(octopus_soap.__path__[0]), contract_path()
assert not {"zeep", "pydantic", "requests"} & set(sys.modules), "import octopus_soap loads too much"
for name in octopus_soap.__all__:
    getattr(octopus_soap, name)
"""


class Report:
    """Prints the findings line by line, and counts the wrong ones."""

    def __init__(self) -> None:
        self.wrong = 0

    def __call__(self, verdict: str, what: str, detail: str = "") -> None:
        self.wrong += verdict == "WRONG"
        print(f"{verdict:7} {what:28} {detail}".rstrip(), flush=True)  # noqa: T201 - a script's own words


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a command outside our environment, or raise RuntimeError with its output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OCTOPUS_", "PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=kept, capture_output=True, text=True, timeout=1800, check=False
    )
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).strip().splitlines() if line.strip()]
        raise RuntimeError("\n        ".join([f"{words[0]} ended with {done.returncode}", *said[-25:]]))
    return done.stdout


class Releases:
    """The checks of one wheel and one source distribution."""

    def __init__(self, dist: Path, scratch: Path, report: Report) -> None:
        self.wheel = _only(dist, "*.whl")
        self.source = _only(dist, "*.tar.gz")
        self.scratch = scratch
        self.report = report
        self.uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"

    def contents(self) -> None:
        """Check both files' contents, and their metadata for an index."""
        for path, problems in ((self.wheel, wheel_problems(self.wheel)), (self.source, source_problems(self.source))):
            for problem in problems:
                self.report("WRONG", path.name, problem)
            if not problems:
                self.report("ok", path.name, f"{path.stat().st_size / 1024:.0f} KiB")
        self._try("metadata", lambda: run(sys.executable, "-m", "twine", "check", "--strict", self.wheel, self.source))

    def on_every_python(self) -> None:
        """Install it in an empty environment on every Python, and run the demo."""
        for version in WANTED:
            python = find(version)
            if python is None:
                self.report("absent", f"python {version}", "none on PATH, in pyenv, uv, mise, asdf, /usr or /opt")
            else:
                self._try(f"python {version}", lambda python=python, version=version: self._demo(python, version))

    def bill_of_materials(self) -> None:
        """Write down what the extra `all` installs, its licences and its size."""
        self._try("extra all", self._materials)

    def _materials(self) -> str:
        programs = self._environment("all", sys.executable)
        python = programs / "python"
        run(self.uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, f"{self.wheel}[all]")
        size = sum(p.stat().st_size for p in programs.parent.rglob("*") if p.is_file()) / 1e6
        own = Path(sys.executable).parent
        stem = self.wheel.name.split("-py3", maxsplit=1)[0]
        bill = self.wheel.with_name(f"{stem}.cdx.json")
        run(own / "cyclonedx-py", "environment", "--output-reproducible", "--mc-type", "library",
            "--pyproject", ROOT / "pyproject.toml", "--output-file", bill, python)  # fmt: skip
        listed: list[dict[str, str]] = json.loads(run(own / "pip-licenses", f"--python={python}", "--format=json"))
        rows = [f"| {one['Name']} | {one['Version']} | {one['License']} |" for one in listed]
        head = ["| Package | Version | Licence |", "|---|---|---|"]
        self.wheel.with_name(f"{stem}.licences.md").write_text("\n".join([*head, *rows, ""]), encoding="utf-8")
        unknown = [one["Name"] for one in listed if one["License"] == "UNKNOWN"]
        if unknown or size > MOST_MEGABYTES:
            raise RuntimeError(f"{size:.0f} MB (at most {MOST_MEGABYTES}); no licence known of: {unknown}")
        return f"{len(listed)} packages, {size:.0f} MB; {bill.name}, {stem}.licences.md"

    def with_dependencies(self, resolution: str) -> None:
        """Run the core of the tests on the wheel with these dependencies."""
        self._try(f"{resolution} dependencies", lambda: self._tests(resolution))

    def _try(self, what: str, check: object) -> None:
        began = time.perf_counter()
        try:
            said = check()  # type: ignore[operator] # a function without arguments
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.report("WRONG", what, str(error))
        else:
            last = (said.strip().splitlines() or [""])[-1]
            self.report("ok", what, f"{last} ({time.perf_counter() - began:.0f} s)")

    def _environment(self, name: str, python: Path | str) -> Path:
        folder = self.scratch / name
        run(self.uv, "venv", "--quiet", "--no-project", "--python", python, folder)
        return folder / ("Scripts" if os.name == "nt" else "bin")

    def _demo(self, python: Path, version: str) -> str:
        programs = self._environment(f"python-{version}", python)
        run(self.uv, "pip", "install", "--quiet", "--python", programs / "python", f"{self.wheel}[cli,emulator]")
        run(programs / "python", "-c", FROM_WHEEL, cwd=self.scratch)
        said = run(programs / "octopus-soap", "demo", cwd=self.scratch)
        return f"imports, has its contract, demo: {said.strip().splitlines()[-1]}"

    def _tests(self, resolution: str) -> str:
        tree = self._tree(resolution)
        programs = self._environment(resolution, sys.executable)
        pins = tree / f"{resolution}.txt"
        chosen = ["--resolution", resolution] if resolution != "newest" else ["--upgrade"]
        version = "{}.{}".format(*sys.version_info)
        run(self.uv, "pip", "compile", "--quiet", "--all-extras", *chosen, "--python-version", version, "--no-header",
            "--no-annotate", "--output-file", pins, tree / "pyproject.toml")  # fmt: skip
        into = ["--quiet", "--python", str(programs / "python")]
        run(self.uv, "pip", "install", *into, "--requirement", pins)
        run(self.uv, "pip", "install", *into, "--no-deps", self.wheel)
        groups = [word for name in ("test", "samples") for word in ("--group", f"{tree / 'pyproject.toml'}:{name}")]
        run(self.uv, "pip", "install", *into, "--constraint", pins, *groups)
        tests = [name for name in CORE if (tree / name).exists()]
        said = run(
            programs / "python", "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", *QUICKER, *tests, cwd=tree
        )
        return said.strip().splitlines()[-1].strip("= ")

    def _tree(self, name: str) -> Path:
        """Unpack the source distribution without its package, so tests use the wheel's."""
        folder = self.scratch / f"tree-{name}"
        with tarfile.open(self.source) as archive:
            archive.extractall(folder, filter="data")
        (tree,) = folder.iterdir()
        shutil.rmtree(tree / "octopus_soap")
        return tree


def _only(dist: Path, pattern: str) -> Path:
    found = sorted(dist.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{dist} must hold one {pattern}, and holds {len(found)}; `make dist` builds it")
    return found[0]


def main() -> int:
    """Run the chosen checks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the two files")
    parser.add_argument(
        "--without-tests", action="store_true", help="leave out the tests with old and new dependencies"
    )
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="octopus-release-") as scratch:
        releases = Releases(options.dist.resolve(), Path(scratch), report)
        releases.contents()
        releases.on_every_python()
        releases.bill_of_materials()
        if not options.without_tests:
            releases.with_dependencies("lowest-direct")
            releases.with_dependencies("newest")
    print("fit to publish" if not report.wrong else f"{report.wrong} wrong: not fit to publish")  # noqa: T201 - as above
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
