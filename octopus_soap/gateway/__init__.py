"""The Channel API as JSON over HTTP, for services in any language.

`create_app` makes a FastAPI application of the catalogue's 20 operations, with look-ups that share requests, health,
readiness and metrics. `make_router` makes only the routes, to include in your own application. Extra `gateway`.
"""

from octopus_soap.gateway.app import create_app
from octopus_soap.gateway.routes import make_router

__all__ = ["create_app", "make_router"]
