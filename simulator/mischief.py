"""What a rule of the fault file does to a call: answers in its place, spoils the answer, or hangs up."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never

from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator import faults
from simulator.envelope import Refusal, error, gateway_page, retry_after_headers
from simulator.service import Service

TRANSPORT = "simulator.transport"

_GIF_OF_ONE_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NOT_A_PICTURE = (
    "<!doctype html><html><head><title>Not found</title></head><body><h1>Sorry</h1></body></html>"
)
_PIECE_BYTES = 65_536
_SLOW_STEP_SECONDS = 0.1
_ENDLESS_STEP_SECONDS = 0.001


@dataclass
class _Captured:
    """An answer that was made and not sent."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    def without(self, *names: bytes) -> list[tuple[bytes, bytes]]:
        return [(name, value) for name, value in self.headers if name.lower() not in names]


@dataclass(frozen=True)
class Performance:
    """One call: how to perform it, how to answer it; ``unanswered`` notes that no answer was given."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    answer: Send
    unanswered: Callable[[], None]

    async def capture(self) -> _Captured:
        """Performs the call and keeps its answer back."""
        captured = _Captured()
        await self.app(self.scope, self.receive, captured.take)
        return captured

    async def respond(self, response: Response) -> None:
        await response(self.scope, self.receive, self.answer)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self.answer({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, body: bytes, *, more: bool) -> None:
        await self.answer({"type": "http.response.body", "body": body, "more_body": more})

    async def hang_up(self) -> None:
        """Closes the connection at once, without an answer."""
        self.unanswered()
        self.scope["extensions"][TRANSPORT].abort()
        await self.gone()

    async def break_off(self) -> None:
        """Closes the connection after what was sent, although more was announced."""
        self.scope["extensions"][TRANSPORT].close()
        await self.gone()

    async def gone(self) -> None:
        """Waits until the caller is no longer connected."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def act(rule: faults.Rule, call: Performance, service: Service) -> None:
    """Does to the call what the rule says."""
    match rule:
        case faults.HttpStatus():
            await call.respond(_http_status(rule, service))
        case faults.HtmlGateway():
            await call.respond(gateway_page(rule.status))
        case faults.Reset():
            await call.hang_up()
        case faults.LoseReply():
            await call.capture()
            await call.hang_up()
        case faults.LoseReplyAsHtml():
            await call.capture()
            await call.respond(gateway_page(rule.status))
        case faults.LoseReplyAs5xx():
            await call.capture()
            await call.respond(_error(service, Refusal(rule.status, rule.message)))
        case faults.LoseReplyAs4xx():
            await call.capture()
            await call.respond(_http_status(rule, service))
        case faults.NoId():
            await _without_id(call)
        case faults.EnvelopeCode():
            await call.respond(_error(service, Refusal(200, rule.message, code=rule.code)))
        case faults.Redirect():
            await call.respond(RedirectResponse(rule.url, rule.status))
        case faults.WrongType():
            await call.respond(HTMLResponse(_NOT_A_PICTURE))
        case faults.Truncated() | faults.Slow() | faults.Endless() | faults.WrongBytes():
            await _spoil_download(rule, call)
        case (
            faults.Delay()
            | faults.FailPrediction()
            | faults.Stuck()
            | faults.UnknownStatus()
            | faults.FewerOutputs()
            | faults.OutputsLater()
            | faults.Nsfw()
        ):
            raise AssertionError(f"{rule.do} answers no call")
        case _:
            assert_never(rule)


def _http_status(rule: faults.HttpStatus | faults.LoseReplyAs4xx, service: Service) -> Response:
    headers: dict[str, str] = {}
    if rule.retry_after is not None:
        form = service.switches.retry_after
        if isinstance(rule, faults.HttpStatus):
            form = rule.retry_after_form or form
        headers = retry_after_headers("seconds" if form == "none" else form, rule.retry_after, service.clock)
    refusal = Refusal(rule.status, rule.message or f"HTTP {rule.status}", error_code=rule.error_code)
    return _error(service, refusal, headers)


def _error(service: Service, refusal: Refusal, headers: dict[str, str] | None = None) -> Response:
    return error(refusal, error_field=service.switches.error_field, headers=headers)


async def _without_id(call: Performance) -> None:
    captured = await call.capture()
    document = json.loads(captured.body)
    if captured.status == 200 and isinstance(document.get("data"), dict):
        # The id stands in the URL as well.
        for key in ("id", "urls"):
            document["data"].pop(key, None)
    await call.respond(JSONResponse(document, captured.status))


async def _spoil_download(
    rule: faults.Truncated | faults.Slow | faults.Endless | faults.WrongBytes, call: Performance
) -> None:
    captured = await call.capture()
    if captured.status != 200:
        await call.start(captured.status, captured.headers)
        await call.send(captured.body, more=False)
        return
    match rule:
        case faults.Truncated():
            await call.start(200, captured.headers)
            await call.send(captured.body[: int(len(captured.body) * rule.fraction)], more=True)
            await call.break_off()
        case faults.Slow():
            await call.start(200, captured.headers)
            await _until_gone(call, _send_slowly(call, captured.body, rule.bytes_per_second))
        case faults.Endless():
            await call.start(200, captured.without(b"content-length", b"etag"))
            await _until_gone(call, _send_without_end(call, captured.body))
        case faults.WrongBytes():
            length = (b"content-length", str(len(_GIF_OF_ONE_PIXEL)).encode())
            await call.start(200, [*captured.without(b"content-length", b"etag"), length])
            await call.send(_GIF_OF_ONE_PIXEL, more=False)


async def _send_slowly(call: Performance, body: bytes, bytes_per_second: int) -> None:
    piece = max(1, int(bytes_per_second * _SLOW_STEP_SECONDS))
    for offset in range(0, len(body), piece):
        await asyncio.sleep(piece / bytes_per_second)
        await call.send(body[offset : offset + piece], more=True)
    await call.send(b"", more=False)


async def _send_without_end(call: Performance, body: bytes) -> None:
    await call.send(body, more=True)
    while True:
        await asyncio.sleep(_ENDLESS_STEP_SECONDS)
        await call.send(bytes(_PIECE_BYTES), more=True)


async def _until_gone(call: Performance, sending: Coroutine[None, None, None]) -> None:
    """Sends until all is sent or the caller hangs up; the server itself does not tell a sender."""
    gone = asyncio.create_task(call.gone())
    sender = asyncio.create_task(sending)
    await asyncio.wait({gone, sender}, return_when=asyncio.FIRST_COMPLETED)
    for task in (gone, sender):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
