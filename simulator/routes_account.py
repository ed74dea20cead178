"""Balance, price, bill, catalogue, webhook secret."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import ColumnElement

from simulator.bodies import NEWEST_FIRST, Sort, explain, oldest_first, read_body
from simulator.catalogue import MODELS, Model
from simulator.envelope import Refusal, dollars, success
from simulator.ids import kept_id
from simulator.media import MediaUnreadable
from simulator.pricing import Price, price_of
from simulator.service import Service
from simulator.service_time import NANOSECONDS, now
from simulator.tables import charges, predictions
from simulator.usage import usage_of
from simulator.worker import MediaRejected

_LONGEST_USAGE = 31 * 86_400 * NANOSECONDS


class PriceRequest(BaseModel):
    model_id: str
    inputs: dict[str, Any] = Field(default_factory=dict)


class UsageQuery(BaseModel):
    start_time: datetime
    end_time: datetime
    model_uuid: str | None = None


class BillingsQuery(BaseModel):
    billing_type: Literal["deduct", "refund"] | None = None
    model_uuid: str | None = None
    prediction_uuids: list[str | int] | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=100, ge=1, le=100)
    sort: Sort = NEWEST_FIRST


def account_routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/api/v3")

    @router.get("/balance")
    async def balance(request: Request) -> Response:
        service.authorize(request)
        return success({"balance": dollars(service.books.balance())})

    async def quote(request: Request) -> tuple[Model, Price]:
        """The price of what is asked for; what is missing costs the least."""
        service.authorize(request)
        asked = await read_body(request, PriceRequest)
        model = MODELS.get(asked.model_id)
        if model is None:
            raise Refusal(404, f"model {asked.model_id} not found")
        quote_id = uuid.uuid4().hex
        clip: Path | None = None
        try:
            understood, has_clip = model.floor(asked.inputs)
            if has_clip and understood.clip is not None:
                clip = await service.media.collect(understood.clip, quote_id, "video")
            return model, await price_of(model, understood.model_dump(), clip, service.switches)
        except ValidationError as error:
            raise Refusal(400, explain(error)) from error
        except (MediaUnreadable, MediaRejected) as error:
            raise Refusal(400, f"Invalid parameter: {error}") from error
        finally:
            service.media.remove_inputs(quote_id)

    @router.post("/model/price")
    async def price(request: Request) -> Response:
        model, quoted = await quote(request)
        return success(
            {
                "model_id": model.model_id,
                "price": dollars(quoted.listed),
                "discounted_price": dollars(quoted.paid),
                "discount_rate": float(service.switches.discount_rate),
            }
            | ({"currency": service.switches.currency} if service.switches.currency else {})
        )

    @router.post("/model/pricing")
    async def pricing(request: Request) -> Response:
        model, quoted = await quote(request)
        return success({"model_id": model.model_id, "unit_price": dollars(quoted.paid), "currency": "USD"})

    @router.post("/billings/search")
    async def billings(request: Request) -> Response:
        service.authorize(request)
        query = await read_body(request, BillingsQuery)
        total, found = service.books.billings(
            *_conditions(service, query),
            oldest_first=oldest_first(query.sort),
            offset=(query.page - 1) * query.page_size,
            limit=query.page_size,
        )
        items = []
        for charge in found:
            prediction = service.books.prediction(charge.prediction_id or "")
            assert prediction is not None
            items.append(service.views.billing(charge, prediction))
        has_more = query.page * query.page_size < total
        return success(
            {
                "page": query.page,
                "page_size": query.page_size,
                "total": total,
                "has_more": has_more,
                "items": items,
            }
        )

    @router.post("/user/usage_stats")
    async def usage_stats(request: Request) -> Response:
        service.authorize(request)
        if service.switches.usage_stats == "missing":
            raise Refusal(404, "not found")
        query = await read_body(request, UsageQuery)
        start, end = service.clock.of(query.start_time), service.clock.of(query.end_time)
        if not 0 <= end - start <= _LONGEST_USAGE:
            raise Refusal(
                400, "Invalid parameter: the time must be 31 days at most, and begin before it ends"
            )
        made = [predictions.c.created_at >= start, predictions.c.created_at <= end]
        billed = [charges.c.kind != "top_up", charges.c.at >= start, charges.c.at <= end]
        if query.model_uuid is not None:
            made.append(predictions.c.model == query.model_uuid)
            billed.append(charges.c.model == query.model_uuid)
        return success(usage_of(service.books.predictions(*made), service.books.charges(*billed)))

    @router.get("/models")
    async def models(request: Request) -> Response:
        service.authorize(request)
        return success([model.entry(service.settings.base_url) for model in MODELS.values()])

    @router.get("/webhook/secret")
    async def webhook_secret(request: Request) -> Response:
        service.authorize(request)
        return success({"secret": service.webhook_secret})

    return router


def _conditions(service: Service, query: BillingsQuery) -> list[ColumnElement[bool]]:
    table = charges.c
    lag = round(service.switches.billing_lag_seconds * NANOSECONDS)
    conditions = [table.kind != "top_up", table.at <= now() - lag]
    if query.billing_type is not None:
        conditions.append(table.kind == query.billing_type)
    if query.model_uuid is not None:
        conditions.append(table.model == query.model_uuid)
    if query.prediction_uuids is not None:
        named = [kept_id(each, service.switches.id_form) for each in query.prediction_uuids]
        conditions.append(table.prediction_id.in_(named))
    if query.start_time is not None:
        conditions.append(table.at >= service.clock.of(query.start_time))
    if query.end_time is not None:
        conditions.append(table.at <= service.clock.of(query.end_time))
    return conditions
