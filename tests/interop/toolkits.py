"""The toolkits: their requirements, their build, and how they start.

A toolkit that is not installed is skipped with its reason; with ``--require`` that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).resolve().parent
PROFILES = ("nillable", "strict")
_SUDS = "suds==1.2.0"
_JARS = Path("/usr/share/java")
# What JAX-WS's own manifest leaves out; the rest comes with jaxws-rt.jar.
_RUNTIME = ("jaxws-rt", "jaxb-core", "jaxb-runtime", "istack-commons-runtime", "txw2", "javax.activation")
_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # programs that run for a second


@dataclass(frozen=True)
class Published:
    """The contract of one profile, as a running emulator publishes it.

    Args:
        url: The address of ``?wsdl``, which imports its schemas.
        file: What ``?singleWsdl`` gave.
    """

    url: str
    file: Path


class ToolkitError(Exception):
    """A toolkit's build failed; the message is the tool's output."""


@dataclass(frozen=True)
class Toolkit:
    """One SOAP toolkit.

    Args:
        name: As the table shows it.
        packages: What to install (Debian).
        missing: Returns what is not installed; "" if everything is.
        build: Prepares the programs in a folder, given the contract of each profile; called once.
        client: The command of a client, given the folder and the profile; the script's path is appended. None: none.
        server: The same of a server; the script's path and the port are appended.
        environment: Further environment variables, given the folder.
        server_takes_arguments: Whether script and port are appended; OCTOPUS_SCRIPT names the script in any case.
    """

    name: str
    packages: str
    missing: Callable[[], str]
    build: Callable[[Path, Mapping[str, Published]], None] = lambda _folder, _contracts: None
    client: Callable[[Path, str], list[str]] | None = None
    server: Callable[[Path, str, int], list[str]] | None = None
    environment: Callable[[Path], dict[str, str]] = field(default=lambda _folder: {})
    server_takes_arguments: bool = True


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a command and return its output.

    Raises:
        ToolkitError: the command failed.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise ToolkitError(f"{command[0]}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _not_found(*commands: str) -> str:
    missing = [command for command in commands if shutil.which(command) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


# -- PHP -------------------------------------------------------------------------------------------------------------


def _php_missing() -> str:
    if reason := _not_found("php"):
        return reason
    modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=False).stdout.split()
    return "" if "soap" in modules else "PHP has no soap extension"


PHP = Toolkit(
    "PHP ext-soap",
    "php-cli php-soap",
    _php_missing,
    client=lambda _folder, _profile: ["php", str(HERE / "php/client.php")],
    server=lambda _folder, _profile, port: ["php", "-S", f"127.0.0.1:{port}", str(HERE / "php/server.php")],
    server_takes_arguments=False,
)

# -- Node ------------------------------------------------------------------------------------------------------------


def _node_build(folder: Path, _contracts: Mapping[str, Published]) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / name, folder)
    if not (folder / "node_modules/soap").is_dir():
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", folder=folder)


NODE = Toolkit(
    "node-soap",
    "nodejs npm",
    lambda: _not_found("node", "npm"),
    build=_node_build,
    client=lambda _folder, _profile: ["node", str(HERE / "node/client.js")],
    server=lambda _folder, _profile, _port: ["node", str(HERE / "node/server.js")],
    environment=lambda folder: {"NODE_PATH": str(folder / "node_modules")},
)

# -- Java ------------------------------------------------------------------------------------------------------------


def _java_missing() -> str:
    if reason := _not_found("java", "javac", "wsimport"):
        return reason
    jars = [name for name in _RUNTIME if not (_JARS / f"{name}.jar").exists()]
    return f"no {', '.join(jars)}.jar in {_JARS}" if jars else ""


def _class_path(*more: Path) -> str:
    return os.pathsep.join([*(str(path) for path in more), *(str(_JARS / f"{name}.jar") for name in _RUNTIME)])


def _java_build(folder: Path, contracts: Mapping[str, Published]) -> None:
    """Generate and compile for each profile: wsimport's types differ with nillable."""
    for profile, contract in contracts.items():
        sources, classes = folder / profile / "sources", folder / profile / "classes"
        shutil.rmtree(folder / profile, ignore_errors=True)
        sources.mkdir(parents=True)
        classes.mkdir()
        run(
            "wsimport", "-Xnocompile", "-keep", "-s", sources, contract.url, folder=folder, WSIMPORT_OPTS=" ".join(_JVM)
        )
        files = [*sources.rglob("*.java"), *(HERE / "java").glob("*.java")]
        run("javac", "-J-XX:TieredStopAtLevel=1", "-nowarn", "-d", classes, "-cp", _class_path(), *files, folder=folder)


JAVA = Toolkit(
    "JAX-WS RI",
    "default-jdk-headless jaxws libjaxws-java libsaaj-ri-java",
    _java_missing,
    build=_java_build,
    client=lambda folder, profile: ["java", *_JVM, "-cp", _class_path(folder / profile / "classes"), "Client"],
    server=lambda folder, profile, _port: ["java", *_JVM, "-cp", _class_path(folder / profile / "classes"), "Server"],
)

# -- C++ -------------------------------------------------------------------------------------------------------------


def _gsoap_missing() -> str:
    return _not_found("wsdl2h", "soapcpp2", "g++")


def _gsoap_build(folder: Path, contracts: Mapping[str, Published]) -> None:
    """Generate and compile once: for gSOAP nillable and plain values are the same."""
    source, name = HERE / "gsoap", "soapBasicHttpBinding_USCOREIOctopusService"
    contract = contracts["nillable"]
    run(sys.executable, source / "generate.py", contract.file, ".", folder=folder)
    run("wsdl2h", "-P", "-t", source / "typemap.dat", "-o", "octopus.h", contract.url, folder=folder)
    # -1: WCF's WSDL also declares the namespace of SOAP 1.2, and soapcpp2 would then use that version.
    run("soapcpp2", "-1", "-j", "-L", "-x", "-I/usr/share/gsoap/import", "octopus.h", folder=folder)
    compiling = [
        subprocess.Popen(
            ["g++", "-std=c++17", "-O0", "-w", "-I.", f"-I{source}", "-c", *map(str, files)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for files in (
            ["soapC.cpp"],
            [source / "client.cpp", f"{name}Proxy.cpp"],
            [source / "server.cpp", f"{name}Service.cpp"],
        )
    ]
    wrote = [process.communicate()[1] for process in compiling]
    if any(process.returncode for process in compiling):
        raise ToolkitError("".join(wrote)[-2000:])
    for program, half in (("client", "Proxy"), ("server", "Service")):
        run("g++", "-o", program, f"{program}.o", "soapC.o", f"{name}{half}.o", "-lgsoap++", folder=folder)


GSOAP = Toolkit(
    "gSOAP (C++)",
    "gsoap libgsoap-dev g++",
    _gsoap_missing,
    build=_gsoap_build,
    client=lambda folder, _profile: [str(folder / "client")],
    server=lambda folder, _profile, _port: [str(folder / "server")],
)

# -- Python ----------------------------------------------------------------------------------------------------------


def _suds_build(folder: Path, _contracts: Mapping[str, Published]) -> None:
    if not (folder / "suds").is_dir():
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--target", folder, _SUDS, folder=folder)


ZEEP = Toolkit(
    "zeep (strict)",
    "",
    lambda: "",
    client=lambda _folder, _profile: [sys.executable, str(HERE / "python/zeep_client.py")],
)
SUDS = Toolkit(
    "suds",
    "",
    lambda: "",
    build=_suds_build,
    client=lambda _folder, _profile: [sys.executable, str(HERE / "python/suds_client.py")],
    environment=lambda folder: {"PYTHONPATH": str(folder)},
)

TOOLKITS = (PHP, NODE, JAVA, GSOAP, ZEEP, SUDS)
