"""The Channel API as JSON over HTTP, so that a service in any language may call it. Extra `gateway`.

`create_app` makes a FastAPI application of the 20 operations of the catalogue, with look-ups that share requests,
health, readiness and metrics. `make_router` makes only the routes, to include in your own application.
"""

from octopus_soap.gateway.app import create_app
from octopus_soap.gateway.routes import make_router

__all__ = ["create_app", "make_router"]
