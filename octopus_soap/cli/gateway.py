"""`octopus-soap gateway`: the Channel API as JSON over HTTP, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_PORT = 8766


def gateway(
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0 takes a free one.")
    ] = DEFAULT_PORT,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar="OCTOPUS_GATEWAY_API_KEY",
            help="Key that callers send as X-API-Key, 16 characters or more. Other users can see command-line "
            "arguments; prefer the variable.",
        ),
    ] = None,
    lookup_ttl: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long the answer of a look-up is kept.")
    ] = 5.0,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Table of the profile file.")] = None,
) -> None:
    """Serve the 20 operations as JSON over HTTP until Ctrl-C. The page /docs lists them.

    Settings and credentials come from OCTOPUS_* variables, .env and the profile file. Without an API key only this
    machine may call.
    """
    import uvicorn  # noqa: PLC0415 - heavy: only inside a command

    from octopus_soap.client import AsyncOctopusClient  # noqa: PLC0415 - as above
    from octopus_soap.errors import ConfigError  # noqa: PLC0415 - as above
    from octopus_soap.gateway import create_app  # noqa: PLC0415 - as above

    if api_key is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"--host {host} lets other machines call: set a key, export OCTOPUS_GATEWAY_API_KEY=$(openssl rand -hex 24)"
        )
    app = create_app(AsyncOctopusClient(profile=profile), api_key=api_key, lookup_ttl=lookup_ttl)
    uvicorn.run(app, host=host, port=port, server_header=False)
