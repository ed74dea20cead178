"""The simulated service as an ASGI application: the calls of the API, behind the front door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from simulator.envelope import Refusal, error, retry_after_headers
from simulator.front import Front
from simulator.routes_account import account_routes
from simulator.routes_media import file_routes, upload_routes
from simulator.routes_predictions import prediction_routes, submit_route
from simulator.service import Service
from simulator.settings import Settings
from simulator.studio import Renderer, Studio


def create_app(settings: Settings, *, renderer: Renderer | None = None) -> ASGIApp:
    """The whole service; without a renderer of one's own, pictures and clips are made by worker processes.

    The server that runs it must put each connection's transport into the scope (``server`` does), or faults
    that drop connections cannot.
    """
    service = Service(settings, renderer or Studio())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.open()
        yield
        await service.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.exception_handler(Refusal)
    async def refuse(_request: Request, refusal: Refusal) -> Response:
        headers = {}
        if refusal.retry_after is not None:
            headers = retry_after_headers(service.switches.retry_after, refusal.retry_after, service.clock)
        return error(refusal, error_field=service.switches.error_field, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, problem: RequestValidationError) -> Response:
        text = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in problem.errors())
        return await refuse(request, Refusal(400, f"Invalid parameter: {text}"))

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, problem: HTTPException) -> Response:
        return await refuse(request, Refusal(problem.status_code, problem.detail))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _problem: Exception) -> Response:
        # Nobody reads this; it keeps the death of a client from looking like an error of the service.
        return await refuse(request, Refusal(400, "the caller hung up"))

    @app.exception_handler(Exception)
    async def broken(request: Request, _problem: Exception) -> Response:
        return await refuse(request, Refusal(500, "Internal server error"))

    for router in (
        prediction_routes(service),
        upload_routes(service),
        file_routes(service),
        account_routes(service),
        submit_route(service),
    ):
        app.include_router(router)
    return Front(app, service)
