"""`octopus-soap fleet`: the merchants of a fleet, its workers and its state.

Exit codes of `status`: 0 nothing needs a person, 1 there are alarms. Workers end with 0 after an orderly stop.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octopus_soap.cli.application import Application
from octopus_soap.cli.jobs import ReportOption, ReportOutput, run_job, seconds_of, stopping
from octopus_soap.cli.output import Output, Records, Selection, notice, selecting, show_json
from octopus_soap.cli.terminal import show_table

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from octopus_soap.fleet import Fleet, Merchant, Registry
    from octopus_soap.fleet.config import FleetConfig
    from octopus_soap.jobs.plan import PushReport

app = Application()

PLACE = "octopus-fleet.db"
_TICKER_CONNECTIONS = 5
_SPARE_CONNECTIONS = 6  # next to half the slots: a run spends most of its time at the service
PlaceOption = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="OCTOPUS_FLEET",
        metavar="FILE|URL",
        help="The fleet's database: an SQLite file, or postgresql://user@host/database.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The merchant.")]
Endpoint = Annotated[str | None, typer.Option(metavar="URL", help="URL of the service.")]
Merchantname = Annotated[str | None, typer.Option(metavar="TEXT", help="The header merchantname.")]
Authtoken = Annotated[
    str | None,
    typer.Option(
        metavar="SECRET",
        help="A reference (env:NAME, file:/path) or the secret, which is then encrypted. Other users can see "
        "command-line arguments; prefer a reference.",
    ),
]
Accessid = Annotated[str | None, typer.Option(metavar="SECRET", help="Likewise.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Your own label; repeatable.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--setting", metavar="KEY=VALUE", help="A setting that differs from the default; repeatable."),
]
Module = Annotated[
    str,
    typer.Option(
        "--module",
        envvar="OCTOPUS_FLEET_MODULE",
        metavar="NAME",
        help="Dotted name of the module with your functions stock, orders and changes.",
    ),
]
Broker = Annotated[
    str, typer.Option("--broker", envvar="OCTOPUS_FLEET_BROKER", metavar="URL", help="amqp://user@host// or redis://")
]
FleetName = Annotated[
    str,
    typer.Option(
        "--fleet-name",
        envvar="OCTOPUS_FLEET_NAME",
        metavar="NAME",
        help="The queues at the broker begin with it: two fleets on one broker need two names.",
    ),
]
_MODULE = '''"""The functions of the fleet: fill in those you need, and delete the others."""


def stock(merchant):
    """Return the desired stock and prices: a CSV path, a DataFrame, or rows; None if there is nothing new."""
    return f"shops/{merchant.name}.csv"


def orders(merchant, order, delivery):
    """Store an order. After a crash it comes again with the same delivery.key: insert it if it is new."""
    raise NotImplementedError(f"store {delivery.key} of {merchant.name}")


def changes(merchant, change):
    """Store a changed item; change.item is None if it was deleted."""
'''
_TOML = """# The fleet's settings. Options and variables (OCTOPUS_FLEET, OCTOPUS_FLEET_MODULE, ...) override them.
ledger = "octopus-fleet.db"     # or postgresql://jobs@db.example.com/shops
module = "fleet_functions"      # the module next to this file
# name = "octopus"              # queues at the broker begin with it: two fleets on one broker need two names
# broker = "amqp://guest:guest@127.0.0.1//"    # for workers on Celery
# workers = 2                   # how many workers there are on Celery
# budget = 60                   # seconds after which a run begins no further request
# tick_seconds = 2              # how often to look for due runs

# [slots]                       # how many runs of each queue one worker runs at once; they mostly wait
# orders = 10
# push = 12
# changes = 6
# slow = 4                      # merchants whose last run timed out
"""


@app.callback()
def read_settings(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="OCTOPUS_FLEET_CONFIG", metavar="FILE", help="Settings; fleet.toml in this folder by default."
        ),
    ] = None,
) -> None:
    """Run the jobs of many merchants."""
    context.obj = read = cache(partial(_read, config))
    names = {command.name or "" for command in app.registered_commands} - {"init", "new-key"}
    context.default_map = {name: _Defaults(read) for name in names}


class _Defaults(dict[str, Any]):
    """The settings as defaults of a command's options, read when first needed."""

    def __init__(self, read: Callable[[], FleetConfig]) -> None:
        super().__init__()
        self._read = read

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value for an option; *default* if the settings have none."""
        found = getattr(self._read(), _SHARED[key]) if key in _SHARED else None
        return default if found is None else found


_SHARED = {"place": "ledger", "module": "module", "broker": "broker", "fleet_name": "name", "workers": "workers"}
"""The setting that each option has its default from."""


def _read(config: Path | None) -> FleetConfig:
    from octopus_soap.fleet.config import FILE, FleetConfig, read_config  # noqa: PLC0415 - heavy: only inside a command

    path = config or Path(FILE)
    if "--help" in sys.argv or not (config or path.exists()):  # the help is the same without a file
        return FleetConfig()
    return read_config(path)


def _registry(place: str) -> tuple[Any, Registry]:
    from octopus_soap.fleet import Registry  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.jobs import Ledger  # noqa: PLC0415 - as above

    ledger = Ledger(place, channel="fleet")
    return ledger, Registry(ledger)


def _with_registry(place: str, work: Callable[[Registry], object]) -> None:
    ledger, registry = _registry(place)
    with ledger:
        work(registry)


def _pairs(given: Iterable[str] | None, what: str) -> dict[str, str] | None:
    if given is None:
        return None
    pairs = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not key or not sign:
            raise typer.BadParameter(f"write it as KEY=VALUE, not {text!r}", param_hint=f"--{what}")
        pairs[key] = value
    return pairs


def _typed(pairs: dict[str, str] | None) -> dict[str, Any] | None:
    from octopus_soap.fleet.registry import setting_value  # noqa: PLC0415 - heavy: only inside a command

    return None if pairs is None else {key: setting_value(value) for key, value in pairs.items()}


@app.command("add")
def add(
    name: NameArgument,
    *,
    endpoint: Endpoint = None,
    merchantname: Merchantname = None,
    authtoken: Authtoken = None,
    accessid: Accessid = None,
    push: Annotated[str | None, typer.Option(metavar="TIME", help="Push every 60s, 5m, 1h ...")] = None,
    orders: Annotated[str | None, typer.Option(metavar="TIME", help="Pull orders every ...")] = None,
    changes: Annotated[str | None, typer.Option(metavar="TIME", help="Follow changes every ...")] = None,
    label: Labels = None,
    setting: Settings = None,
    place: PlaceOption = PLACE,
) -> None:
    """Add a merchant."""
    given = {"--endpoint": endpoint, "--merchantname": merchantname, "--authtoken": authtoken, "--accessid": accessid}
    if missing := [option for option, value in given.items() if value is None]:
        raise typer.BadParameter(f"a merchant needs {', '.join(missing)}")
    every = {job: seconds_of(time) for job, time in (("push", push), ("orders", orders), ("changes", changes)) if time}
    _with_registry(
        place,
        lambda registry: registry.add(
            name,
            endpoint=endpoint or "",
            merchantname=merchantname or "",
            authtoken=authtoken or "",
            accessid=accessid or "",
            settings=_typed(_pairs(setting, "setting")),
            labels=_pairs(label, "label"),
            every=every,
        ),
    )
    notice(f"added {name}" + ("" if every else "; it has no job yet: octopus-soap fleet schedule " + name + " push 5m"))


@app.command("set")
def change(
    name: NameArgument,
    *,
    endpoint: Endpoint = None,
    merchantname: Merchantname = None,
    authtoken: Authtoken = None,
    accessid: Accessid = None,
    label: Labels = None,
    setting: Settings = None,
    place: PlaceOption = PLACE,
) -> None:
    """Change the given values of a merchant; labels and settings as a whole."""
    _with_registry(
        place,
        lambda registry: registry.set(
            name,
            endpoint=endpoint,
            merchantname=merchantname,
            authtoken=authtoken,
            accessid=accessid,
            settings=_typed(_pairs(setting, "setting")),
            labels=_pairs(label, "label"),
        ),
    )
    notice(f"changed {name}; workers use it from their next run on")


@app.command("schedule")
def schedule(
    name: NameArgument,
    job: Annotated[str, typer.Argument(metavar="JOB", help="push, orders or changes.")],
    every: Annotated[str, typer.Argument(metavar="TIME|never", help="60s, 5m, 1h ...; never to stop.")],
    *,
    place: PlaceOption = PLACE,
) -> None:
    """Set how often a job of a merchant runs."""
    seconds = None if every == "never" else seconds_of(every)
    _with_registry(place, lambda registry: registry.schedule(name, job, every=seconds))
    notice(f"{name} {job}: " + ("off the schedule" if seconds is None else f"every {seconds:g} s"))


@app.command("import")
def import_merchants(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with name, endpoint, merchantname, authtoken, accessid.")
    ],
    *,
    place: PlaceOption = PLACE,
) -> None:
    """Add or change the merchants of a CSV file, all or none."""
    _with_registry(place, lambda registry: notice(f"{registry.import_csv(file)} merchants"))


@app.command("list")
@selecting()
def list_merchants(
    *,
    place: PlaceOption = PLACE,
    selection: Selection,
) -> None:
    """List the merchants."""

    def show(registry: Registry) -> None:
        merchants = registry.all()

        def table() -> None:
            rows = [(m.name, m.state, m.endpoint, " ".join(f"{k}={v}" for k, v in m.labels.items())) for m in merchants]
            show_table(f"{len(rows)} merchants", ["Name", "State", "?Endpoint", "?Labels"], rows)

        selection.show_whole(Records([_shown(merchant) for merchant in merchants]), table)

    _with_registry(place, show)


@app.command("show")
def show_merchant(name: NameArgument, *, place: PlaceOption = PLACE) -> None:
    """Show a merchant, its jobs and last runs as JSON; secrets only by name."""
    from octopus_soap.fleet.status import history, status  # noqa: PLC0415 - heavy: only inside a command

    ledger, registry = _registry(place)
    with ledger:
        merchant = _shown(registry.get(name))
        jobs = status(ledger, [name]).as_dict()["jobs"]
        runs = [
            {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in run.items()}
            for run in history(ledger, name)
        ]
    show_json({**merchant, "jobs": jobs, "runs": runs})


def _shown(merchant: Merchant) -> dict[str, Any]:
    return {
        "name": merchant.name,
        "state": merchant.state,
        "reason": merchant.reason,
        "endpoint": merchant.endpoint,
        "merchantname": merchant.merchantname,
        "secrets": merchant.secrets,
        "settings": merchant.settings,
        "labels": merchant.labels,
    }


@app.command("pause")
def pause(
    name: NameArgument,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown in the status.")] = "",
    place: PlaceOption = PLACE,
) -> None:
    """Run no job of a merchant until `resume`."""
    _with_registry(place, lambda registry: registry.pause(name, reason))
    notice(f"{name} is paused")


@app.command("resume")
def resume(name: NameArgument, *, place: PlaceOption = PLACE) -> None:
    """Run a merchant's jobs again, after a pause or after its credentials were fixed."""
    _with_registry(place, lambda registry: registry.resume(name))
    notice(f"{name} is active")


@app.command("run-now")
def run_now(
    name: NameArgument,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="push, orders or changes; all by default.")] = None,
    *,
    place: PlaceOption = PLACE,
) -> None:
    """Make a merchant's jobs due at once, for running workers."""
    _with_registry(place, lambda registry: notice(f"{registry.run_now(name, job)} jobs of {name} are due now"))


@app.command("push")
def push(
    context: typer.Context,
    name: NameArgument,
    *,
    module: Module = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Allow a push that the guard refuses.")] = False,
    output: ReportOption = ReportOutput.TEXT,
    place: PlaceOption = PLACE,
) -> None:
    """Push a merchant's stock and prices now, in this process.

    It needs your module and the keys of the secrets, as a worker does. The end
    is recorded as the merchant's last push.

    Exit code 0: all is done. 1: some rows or SKUs are not done; they are named. 2: it failed, or the push was refused
    because too much would change. 3: another push of the merchant is running. 130, 143: a signal came before the input
    was read; nothing of it was accepted.
    """
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - heavy: only inside a command

    _with_registry(place, lambda registry: registry.get(name))
    if not module:
        raise ConfigError(
            "the module with your function stock is missing: add --module NAME, set OCTOPUS_FLEET_MODULE, or write it "
            "into fleet.toml"
        )
    with _fleet(context.obj(), place, module, connections=_TICKER_CONNECTIONS) as fleet:

        def once(stop: threading.Event) -> PushReport:
            report = fleet.push(name, dry_run=dry_run, force=force, stop=stop)
            if dry_run and output is ReportOutput.TEXT:
                from octopus_soap.cli.stock import show_plan  # noqa: PLC0415 - only here

                show_plan(report)
            return report

        run_job(once, None, output)


@app.command("remove")
def remove(
    name: NameArgument,
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete its rows in the ledger too: orders, stock, changes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    place: PlaceOption = PLACE,
) -> None:
    """Remove a merchant and its schedule."""
    if purge and not yes:
        _with_registry(place, lambda registry: registry.get(name))
        typer.confirm(f"Delete every order, stock and change of {name} in the ledger?", abort=True)
    _with_registry(place, lambda registry: registry.remove(name, purge=purge))
    notice(f"removed {name}")


@app.command("new-key")
def new_key() -> None:
    """Print a new key for OCTOPUS_FLEET_KEYS."""
    from octopus_soap.fleet.vault import new_key as make  # noqa: PLC0415 - heavy: only inside a command

    typer.echo(make())


@app.command("rotate-keys")
def rotate_keys(*, place: PlaceOption = PLACE) -> None:
    """Encrypt every stored secret again, with the first key of OCTOPUS_FLEET_KEYS."""
    _with_registry(place, lambda registry: notice(f"{registry.rotate_keys()} merchants encrypted again"))


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write them.")] = Path(),
) -> None:
    """Write fleet.toml and a module with the functions to fill in."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("fleet.toml", _TOML), ("fleet_functions.py", _MODULE)):
        try:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise typer.BadParameter(f"{folder / name} exists already") from None
        notice(f"wrote {folder / name}")


def _fleet(config: FleetConfig, place: str, module: str, **options: Any) -> Fleet:
    from octopus_soap.fleet import Fleet, LocalEngine  # noqa: PLC0415 - heavy: only inside a command
    from octopus_soap.fleet.fleet import load_functions  # noqa: PLC0415 - as above

    folder = str(config.folder or Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # the module is next to fleet.toml
    functions = load_functions(module) if module else {}
    options.setdefault("engine", LocalEngine(config.slots))
    for name in ("budget", "tick_seconds"):
        if getattr(config, name) is not None:
            options[name] = getattr(config, name)
    return Fleet(place, **functions, **options)


@app.command("run")
def run(
    context: typer.Context,
    *,
    module: Module,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due.")] = False,
    place: PlaceOption = PLACE,
) -> None:
    """Run the fleet in this process, without a broker, until SIGINT or SIGTERM."""
    with _fleet(context.obj(), place, module) as fleet, stopping() as (stop, _):
        notice(f"running {len(fleet.registry.all())} merchants of {fleet.ledger.shown}; Ctrl-C stops it")
        fleet.run(stop=stop, once=once)


@app.command("tick")
def tick(
    context: typer.Context,
    *,
    broker: Broker,
    workers: Annotated[int, typer.Option(min=1, metavar="COUNT", help="How many workers there are.")] = 1,
    fleet_name: FleetName = "octopus",
    place: PlaceOption = PLACE,
) -> None:
    """Send due runs to Celery's workers; several tickers may run."""
    from octopus_soap.fleet.celery_engine import CeleryEngine, reach  # noqa: PLC0415 - an extra

    engine = CeleryEngine(broker, workers=workers, slots=context.obj().slots, name=fleet_name)
    if why := reach(engine.app):
        notice(f"waiting for the broker, which cannot be reached: {why}")
    options = {"engine": engine, "connections": _TICKER_CONNECTIONS}
    with _fleet(context.obj(), place, "", **options) as fleet, stopping() as (stop, _):
        fleet.run(stop=stop)


@app.command("worker")
def worker(
    context: typer.Context,
    *,
    broker: Broker,
    module: Module,
    queues: Annotated[str, typer.Option(metavar="LIST", help="orders,push,changes,slow; all by default.")] = "",
    slots: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Threads. Default: the slots of its queues.")
    ] = None,
    fleet_name: FleetName = "octopus",
    place: PlaceOption = PLACE,
) -> None:
    """Run a Celery worker; on SIGTERM it finishes the runs under way."""
    from octopus_soap.fleet.celery_engine import work  # noqa: PLC0415 - an extra

    chosen = [queue.strip() for queue in queues.split(",") if queue.strip()]
    threads = slots or sum(most for queue, most in context.obj().slots.items() if queue in chosen or not chosen) or 1
    with _fleet(context.obj(), place, module, connections=threads // 2 + _SPARE_CONNECTIONS) as fleet:
        work(broker, fleet.deliver, queues=chosen, slots=threads, name=fleet_name)


@app.command("delete-queues")
def delete_queues(*, broker: Broker, fleet_name: FleetName = "octopus") -> None:
    """Delete the queues of a renamed fleet; a tick finds the runs that wait there."""
    from octopus_soap.fleet.celery_engine import delete_queues as delete  # noqa: PLC0415 - an extra

    notice(f"deleted {delete(broker, name=fleet_name)} queues of the fleet {fleet_name}")


@app.command("status")
@selecting()
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat every 2 seconds, until Ctrl-C.")] = False,
    most: Annotated[int, typer.Option(min=1, metavar="COUNT", help="How many jobs to show, worst first.")] = 30,
    place: PlaceOption = PLACE,
    selection: Selection,
) -> None:
    """Show the state of jobs, worst first. Exit code 1: something needs a person."""
    from octopus_soap.fleet.status import status as read  # noqa: PLC0415 - heavy: only inside a command

    ledger, _ = _registry(place)
    with ledger, stopping() if watch else nullcontext((None, None)) as (stop, _):
        while True:
            now = read(ledger)
            if selection.output is Output.JSON and not selection.narrowed:
                show_json(selection.trimmed(now.as_dict(most)))
            elif selection.output is not Output.TABLE or selection.narrowed:
                selection.show_whole(Records(now.as_dict(most)["jobs"]), lambda: None)
            else:
                rows = [
                    (
                        f"{job.name} {job.job}",
                        job.state if job.state != "active" else "running" if job.running else job.outcome or "waiting",
                        f"{job.late:.0f}",
                        job.backlog,
                        job.held,
                        "" if job.last_success_at is None else f"{job.last_success_at:%m-%d %H:%M:%S}",
                        job.alarm or job.message,
                    )
                    for job in now.jobs[:most]
                ]
                title = (
                    ", ".join(f"{number} {state}" for state, number in now.merchants.items() if number)
                    or "no merchants"
                )
                show_table(
                    title, ["Merchant, job", "State", "#Late", "#Left", "#Held", "?Last success", "~Message"], rows
                )
                for alarm in now.alarms[:most]:
                    notice(alarm)
            if stop is None or stop.wait(2):
                break
    if not now.healthy:
        raise typer.Exit(1)


@app.command("console")
def console(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on the address.")] = 9809,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; another machine's needs a token.")
    ] = "127.0.0.1",
    allow_actions: Annotated[
        bool, typer.Option("--allow-actions", help="Let it pause and resume merchants, and retry held keys.")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="OCTOPUS_CONSOLE_TOKEN",
            help="The token to sign in, 16 characters or more. Other users can see command-line arguments; prefer the "
            "variable.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name, next to localhost, that browsers may use; with a token. Repeatable."
        ),
    ] = None,
    place: PlaceOption = PLACE,
) -> None:
    """Serve the fleet's web console until Ctrl-C; read-only by default."""
    import uvicorn  # noqa: PLC0415 - heavy: only inside a command

    from octopus_soap.console import fleet_console  # noqa: PLC0415 - as above
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - as above

    if token is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"--host {host} opens it to other machines: set a token, "
            "export OCTOPUS_CONSOLE_TOKEN=$(openssl rand -hex 24)"
        )
    ledger, registry = _registry(place)
    with ledger:
        hosts = [*(allow_host or ()), host]
        app = fleet_console(ledger, registry, allow_actions=allow_actions, token=token, hosts=hosts)
        config = uvicorn.Config(app, host=host, port=port, server_header=False, log_level="warning")
        listener = config.bind_socket()
        notice(f"the fleet's console is at http://{host}:{listener.getsockname()[1]}/; Ctrl-C stops it")
        uvicorn.Server(config).run([listener])


@app.command("metrics")
def metrics(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on the address.")] = 9808,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    place: PlaceOption = PLACE,
) -> None:
    """Serve /metrics for Prometheus and /healthz (503 with alarms) until Ctrl-C."""
    from octopus_soap.fleet.pages import serve  # noqa: PLC0415 - heavy: only inside a command

    ledger, _ = _registry(place)
    with ledger, stopping() as (stop, _):
        serve(ledger, host, port, stop)
