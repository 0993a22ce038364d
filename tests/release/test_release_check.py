"""The release check finds what is wrong with a wheel, and names absent Pythons."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from check_release import CORE, Report, main
from contents import CONTRACT, IN_SOURCE, ROOT, modules, source_problems, wheel_problems
from new_version import set_version
from pythons import WANTED, candidates, find

if TYPE_CHECKING:
    from pathlib import Path

INFO = "octopus_soap-1.0.dist-info"
GOOD = {
    "octopus_soap/__init__.py": "",
    "octopus_soap/py.typed": "",
    **{f"octopus_soap/wsdl/{name}": "x" for name in CONTRACT},
    f"{INFO}/METADATA": "Requires-Python: >=3.11\nLicense-Expression: MIT\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\noctopus-soap = octopus_soap.cli:main\n",
    f"{INFO}/licenses/LICENSE": "MIT",
}


def made_wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "octopus_soap-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def problems_of(folder: Path, files: dict[str, str]) -> list[str]:
    return wheel_problems(made_wheel(folder, files), {"octopus_soap/__init__.py"})


def test_a_whole_wheel_has_no_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD) == []


@pytest.mark.parametrize("name", GOOD)
def test_each_file_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, {n: text for n, text in GOOD.items() if n != name})


@pytest.mark.parametrize("name", ["tests/test_x.py", "docs/index.md", "samples/a.py", "octopus_soap/__pycache__/a.pyc"])
def test_what_does_not_belong_in_a_wheel_is_named(name: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {**GOOD, name: ""})
    assert name.split("/", maxsplit=1)[0] in problem


def test_a_source_distribution_needs_its_tests_and_documents(tmp_path: Path) -> None:
    path = tmp_path / "octopus_soap-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in sorted(IN_SOURCE - {"tests"}):
            archive.addfile(tarfile.TarInfo(f"octopus_soap-1.0/{name}"), io.BytesIO())
    assert source_problems(path) == ["lacks tests"]


def test_the_contents_are_those_of_the_repository() -> None:
    assert "octopus_soap/contracts/wsdl.py" in modules()
    assert "OctopusService.wsdl" in CONTRACT
    assert {name for name in IN_SOURCE if not (ROOT / name).exists()} == set()


def test_the_core_of_the_tests_exists() -> None:
    assert {name for name in CORE if not (ROOT / name).exists()} == set()


def test_this_python_is_found() -> None:
    version = "{}.{}".format(*sys.version_info)
    assert version in WANTED
    assert find(version) is not None


def test_a_shim_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert candidates("3.99") == [shim]
    assert find("3.99") is None


def test_pythons_of_pyenv_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / ".pyenv/versions/3.99.1/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 3.99\n")
    python.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("3.99") == python


def test_an_empty_folder_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["check_release.py", "--dist", str(tmp_path)])
    with pytest.raises(SystemExit, match="make dist"):
        main()


def test_only_what_is_wrong_counts(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report("ok", "a")
    report("absent", "b", "not here")
    assert report.wrong == 0
    report("WRONG", "c", "why")
    assert report.wrong == 1
    assert "absent  b" in capsys.readouterr().out


def test_a_new_version_is_written_everywhere_or_refused(tmp_path: Path) -> None:
    (tmp_path / "octopus_soap").mkdir()
    names = ("octopus_soap/_version.py", "CHANGELOG.md", "CITATION.cff")

    def reset(log: str) -> None:
        for name, text in zip(names, ('__version__ = "0.9.0"\n', log, "type: software\nlicense: MIT\n"), strict=True):
            (tmp_path / name).write_text(text)

    reset("# Changelog\n\n## Unreleased\n\n- new\n")
    set_version(tmp_path, "1.0.0rc1", "2026-01-02")
    assert (tmp_path / names[0]).read_text() == '__version__ = "1.0.0rc1"\n'
    assert (tmp_path / names[1]).read_text() == "# Changelog\n\n## Unreleased\n\n## 1.0.0rc1 (2026-01-02)\n\n- new\n"
    assert (tmp_path / names[2]).read_text() == (
        "type: software\nversion: 1.0.0rc1\ndate-released: 2026-01-02\nlicense: MIT\n"
    )
    with pytest.raises(ValueError, match="nothing under"):
        set_version(tmp_path, "1.0.0", "2026-01-03")
    reset("## Unreleased\n- new\n")
    for wrong, why in (("one", "no version"), ("0.9.0", "not newer"), ("0.9.0rc1", "not newer")):
        with pytest.raises(ValueError, match=why):
            set_version(tmp_path, wrong, "2026-01-02")
