"""Prefect's server as a process of its own runs it: its keeper starts uvicorn with ``create`` as the factory."""

from fastapi import FastAPI
from prefect.server.api.server import create_app
from starlette.middleware.trustedhost import TrustedHostMiddleware


def create() -> FastAPI:
    """Answers to its own address only: a page whose name was made to point here would be of this origin otherwise."""
    app = create_app()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"])
    return app
