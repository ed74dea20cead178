"""Submitting, looking, listing, deleting."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from simulator.bodies import explain, read_body, read_object
from simulator.books import InsufficientCredit
from simulator.catalogue import MODELS, Model
from simulator.envelope import Refusal, success
from simulator.history import HistoryQuery
from simulator.ids import kept_id
from simulator.latency import image_latency, video_latency
from simulator.media import MediaUnreadable
from simulator.outside import is_loopback, split
from simulator.pricing import Price, price_of
from simulator.records import Output, Prediction
from simulator.service import Service, Visit
from simulator.service_time import NANOSECONDS, now
from simulator.worker import MediaRejected

_OUT_OF_CREDIT = "Insufficient credits. Please top up your account to continue."
_CONCURRENCY_RETRY_SECONDS = 1.0
# Understood by the service itself, and no inputs of any model.
_SYNC_MODE = "enable_sync_mode"
_BASE64_OUTPUT = "enable_base64_output"


class DeleteRequest(BaseModel):
    ids: list[str | int] = Field(min_length=1, max_length=100)


@dataclass(frozen=True)
class _Sent:
    """A submit that has been understood."""

    model: Model
    input: dict[str, Any]
    parameters: dict[str, Any]
    webhook: str | None
    sync_mode: bool
    base64_output: bool


def prediction_routes(service: Service) -> APIRouter:
    router = APIRouter()

    # Read from below: the longer path comes first, since an id may hold a slash.
    @router.get("/api/v3/predictions/{shown:path}")
    @router.get("/api/v3/predictions/{shown:path}/result")
    @router.get("/api/v2/predictions/{shown:path}/result")
    async def result(shown: str, request: Request) -> Response:
        service.authorize(request)
        visit = Visit.of(request)
        prediction_id = kept_id(shown, service.switches.id_form)
        prediction = service.books.prediction(prediction_id)
        if prediction is None:
            raise Refusal(404, f"prediction {shown} not found")
        visit.prediction_id = prediction_id
        status = visit.shown_status
        unknown = prediction.fate.get("unknown_status")
        if unknown and prediction.looks < unknown["looks"]:
            service.books.change(prediction_id, looks=prediction.looks + 1)
            status = unknown["status"]
        return success(service.views.prediction(prediction, _outputs(service, prediction), status=status))

    @router.post("/api/v3/predictions")
    async def history(request: Request) -> Response:
        service.authorize(request)
        return success(service.history.page(await read_body(request, HistoryQuery)))

    @router.post("/api/v3/predictions/delete")
    async def delete(request: Request) -> Response:
        service.authorize(request)
        named = (await read_body(request, DeleteRequest)).ids
        deleted = service.books.delete([kept_id(each, service.switches.id_form) for each in named])
        for prediction_id in deleted:
            service.media.remove_outputs(prediction_id)
        return success({"deleted_count": len(deleted)})

    return router


def submit_route(service: Service) -> APIRouter:
    """Every other POST below /api/v3 names a model; to be added after all other routes."""
    router = APIRouter(prefix="/api/v3")

    @router.post("/{model_id:path}")
    async def submit(model_id: str, request: Request) -> Response:
        service.authorize(request)
        sent = await _understand(model_id, request)
        visit = Visit.of(request)
        prediction_id = uuid.uuid4().hex
        price, fate = await _price(service, sent, prediction_id)
        # From here on nothing is awaited until the books are written, so that no other call comes between.
        _refuse_over_limits(service, sent.model)
        if sent.base64_output:
            fate = fate | {"base64": True}
        prediction = _accept(service, sent, prediction_id, price, visit.fate | fate)
        visit.prediction_id = prediction_id
        service.conductor.take(prediction)
        if not sent.sync_mode:
            return success(service.views.prediction(prediction, []))
        await service.conductor.ended(prediction_id, timeout_seconds=service.switches.sync_mode_seconds)
        return success(_sync_answer(service, prediction_id))

    return router


async def _understand(model_id: str, request: Request) -> _Sent:
    model = MODELS.get(model_id)
    if model is None:
        raise Refusal(404, f"model {model_id} not found")
    body = await read_object(request)
    sync_mode = body.pop(_SYNC_MODE, False) is True
    base64_output = body.pop(_BASE64_OUTPUT, False) is True
    webhook = request.query_params.get("webhook") or None
    if webhook is not None and not _takes_webhooks(webhook):
        raise Refusal(400, "Invalid parameter: webhook must be an https URL")
    if webhook is not None and base64_output:
        raise Refusal(400, f"Invalid parameter: {_BASE64_OUTPUT} cannot be used with a webhook")
    try:
        parameters = model.input_type.model_validate(body).model_dump()
    except ValidationError as error:
        raise Refusal(400, explain(error)) from error
    return _Sent(model, body, parameters, webhook, sync_mode, base64_output)


def _takes_webhooks(url: str) -> bool:
    """Whether the URL is https anywhere, or plain http on this machine, where a receiver is developed."""
    parts = split(url)
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


async def _price(service: Service, sent: _Sent, prediction_id: str) -> tuple[Price, dict[str, Any]]:
    """The price and, where the clip cannot be measured, the fate: billed at the least, it fails later."""
    clip_url = sent.model.input_type.model_validate(sent.parameters).clip
    clip: Path | None = None
    fate: dict[str, Any] = {}
    try:
        if clip_url is not None:
            clip = await service.media.collect(clip_url, prediction_id, "video")
        return await price_of(sent.model, sent.parameters, clip, service.switches), fate
    except MediaUnreadable as error:
        fate = {"fail": {"code": 1402, "message": f"The input media could not be fetched. {error}"}}
    except MediaRejected as error:
        fate = {"fail": {"code": 1401, "message": f"Invalid parameter: {error}."}}
    return await price_of(sent.model, sent.parameters, None, service.switches), fate


def _refuse_over_limits(service: Service, model: Model) -> None:
    limits = service.settings.limits
    allowed = limits.per_minute(model.kind)
    window = round(service.switches.minute_seconds * NANOSECONDS)
    recent = service.books.accepted_since(model.kind, now() - window)
    if len(recent) >= allowed:
        free_at = recent[len(recent) - allowed] + window
        raise Refusal(
            429,
            f"{allowed} predictions per 1 minute",
            retry_after=max(0.0, (free_at - now()) / NANOSECONDS),
        )
    if service.switches.over_concurrency == "429" and service.books.unfinished_count() >= limits.concurrent:
        raise Refusal(429, "You have reached your concurrency limit", retry_after=_CONCURRENCY_RETRY_SECONDS)


def _accept(
    service: Service, sent: _Sent, prediction_id: str, price: Price, fate: dict[str, Any]
) -> Prediction:
    if price.billed_seconds is None:
        latency = image_latency(prediction_id, sent.parameters["resolution"])
    else:
        latency = video_latency(prediction_id, float(price.billed_seconds))
    values: dict[str, Any] = {
        "id": prediction_id,
        "model": sent.model.model_id,
        "kind": sent.model.kind,
        "status": "created",
        "input": sent.input,
        "parameters": sent.parameters,
        "price": price.billed,
        "created_at": now(),
        "webhook": sent.webhook,
    }
    prediction = Prediction(**values, latency_seconds=latency * service.settings.clock, fate=fate)
    try:
        service.books.accept(prediction, charge_now=service.switches.charged_at == "acceptance")
    except InsufficientCredit as error:
        match service.switches.insufficient_credit:
            case "http_400":
                raise Refusal(400, _OUT_OF_CREDIT) from error
            case "http_402":
                raise Refusal(402, _OUT_OF_CREDIT) from error
            case "envelope_1407":
                raise Refusal(200, _OUT_OF_CREDIT, code=1407) from error
            case "prediction_1407":
                prediction = Prediction(
                    **values, latency_seconds=0.0, fate={"fail": {"code": 1407}}, charged=False
                )
                service.books.accept(prediction)
    return prediction


def _sync_answer(service: Service, prediction_id: str) -> dict[str, Any]:
    prediction = service.books.prediction(prediction_id)
    assert prediction is not None
    shown = service.views.prediction(prediction, _outputs(service, prediction))
    if not prediction.finished:
        shown |= {
            "status": "processing",
            "code": 5004,
            "error": f"Sync mode timed out. Query the result later at: {shown['urls']['get']}",
        }
    return shown


def _outputs(service: Service, prediction: Prediction) -> list[Output]:
    return service.books.outputs([prediction.id]) if prediction.status == "completed" else []
