"""The front door: here every call is written into the journal, marked as simulated, and may meet a fault."""

import asyncio
import json
import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.envelope import Refusal, error
from simulator.ids import kept_id
from simulator.media import OUTPUTS_PATH
from simulator.mischief import Performance, act
from simulator.routes_media import PUT_PATH
from simulator.rules import Subject
from simulator.service import Service, Visit
from simulator.service_time import now

MARK = (b"x-simulated", b"kling-campaigns")

_CALLS: tuple[tuple[str, re.Pattern[str], str | None], ...] = (
    ("POST", re.compile(r"/api/v3/predictions"), "history"),
    ("POST", re.compile(r"/api/v3/predictions/delete"), None),
    ("GET", re.compile(r"/api/v[23]/predictions/(?P<id>.+?)(/result)?"), "result"),
    ("POST", re.compile(r"/api/v[23]/media/(uploads|upload/binary)"), "upload"),
    ("PUT", re.compile(rf"{PUT_PATH}/.*"), "put"),
    ("GET", re.compile(rf"{OUTPUTS_PATH}/(?P<id>[^/]+)/.*"), "download"),
    ("GET", re.compile(r"/api/v3/balance"), "balance"),
    ("POST", re.compile(r"/api/v3/model/pric(e|ing)"), "price"),
    ("POST", re.compile(r"/api/v3/user/usage_stats"), None),
    ("POST", re.compile(r"/api/v3/billings/search"), "billings"),
    ("POST", re.compile(r"/api/v3/(?P<model>.+)"), "submit"),
)


class Front:
    """ASGI: wraps the application that performs the calls."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service = self._service
        if not service.is_called_by_its_name(scope):
            # A web page whose name was made to lead here would otherwise speak to this service as its own.
            refusal = Refusal(421, "Misdirected request: this service does not answer to that host.")
            await error(refusal, error_field=service.switches.error_field)(scope, receive, send)
            return
        visit = Visit()
        visit.attach(scope)
        authorized = any(name == b"authorization" for name, _ in scope["headers"])
        line = service.books.journal.received(
            at=now(), method=scope["method"], path=scope["path"], authorized=authorized
        )

        def note(status: int | None) -> None:
            service.books.journal.answered(
                line, status=status, prediction_id=visit.prediction_id, fault=visit.fault
            )

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
                date = (b"date", service.clock.http_date().encode())
                message = {**message, "headers": [*message.get("headers", ()), date, MARK]}
            await send(message)

        subject, receive = await self._subject(scope, receive, visit)
        verdict = service.rules.decide(subject)
        visit.fate, visit.shown_status = verdict.fate, verdict.shown_status
        visit.fault = ",".join(verdict.fired) or None
        await asyncio.sleep(verdict.delay_seconds)
        if verdict.action is None:
            await self._app(scope, receive, answer)
        else:
            performance = Performance(self._app, scope, receive, answer, unanswered=lambda: note(None))
            await act(verdict.action, performance, service)

    async def _subject(self, scope: Scope, receive: Receive, visit: Visit) -> tuple[Subject, Receive]:
        """What the call is about; looks into its body or the books only where a rule asks for that."""
        on, found = _identify(scope["method"], scope["path"])
        if on == "result":
            found["id"] = kept_id(found["id"], self._service.switches.id_form)
        if on in {"result", "download"}:
            visit.prediction_id = found["id"] or None
        if not self._service.rules.looks_at_predictions(on):
            return Subject(on), receive
        if on in {"result", "download"}:
            prediction = self._service.books.prediction(found["id"])
            if prediction is None:
                return Subject(on), receive
            return Subject(on, prediction.model, prediction.prompt), receive
        body = await _read(receive)
        sent = _json_object(body)
        if on == "price":
            inputs = sent.get("inputs")
            prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
            subject = Subject(on, _text(sent.get("model_id")), _text(prompt))
        else:
            subject = Subject(on, found["model"], _text(sent.get("prompt")))
        return subject, _again(body, receive)


def _identify(method: str, path: str) -> tuple[str, dict[str, str]]:
    for its_method, pattern, on in _CALLS:
        if method == its_method and (match := pattern.fullmatch(path)):
            return on or "", match.groupdict()
    return "", {}


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that was read already, then goes on as before."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return unread.pop() if unread else await receive()

    return receive_again


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
