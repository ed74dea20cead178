"""The parts of one running service, put together, and what every call may ask of them."""

import hmac
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import Scope

from simulator.books import Books
from simulator.conductor import Conductor
from simulator.envelope import Refusal, to_millionths
from simulator.history import History
from simulator.media import MediaStore
from simulator.rules import RuleBook
from simulator.service_time import ServiceTime
from simulator.settings import Settings
from simulator.studio import Renderer
from simulator.switches import Switches
from simulator.views import Views
from simulator.webhooks import WebhookSender

_VISIT = "simulator.visit"
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HTTP_PORT = 80


@dataclass
class Visit:
    """One call on its way: what the rules decided about it, and which prediction it is about."""

    fate: dict[str, Any] = field(default_factory=dict)
    shown_status: str | None = None
    prediction_id: str | None = None
    fault: str | None = None

    def attach(self, scope: Scope) -> None:
        scope[_VISIT] = self

    @staticmethod
    def of(request: Request) -> "Visit":
        visit = request.scope[_VISIT]
        assert isinstance(visit, Visit)
        return visit


class Service:
    """Everything a call needs. ``open`` and ``close`` run inside the event loop."""

    books: Books
    media: MediaStore
    views: Views
    history: History
    rules: RuleBook
    conductor: Conductor
    webhook_secret: str

    def __init__(self, settings: Settings, renderer: Renderer) -> None:
        self.settings = settings
        self.switches: Switches = settings.faults.switches
        self.clock = ServiceTime(
            skew_seconds=self.switches.clock_skew_seconds, digits=self.switches.timestamp_digits
        )
        self._renderer = renderer

    def open(self) -> None:
        """Opens the books and takes up what an earlier process left undone."""
        settings = self.settings
        self.books = Books.open(
            settings.home, starting_credit=to_millionths(self.switches.starting_credit_usd)
        )
        self.media = MediaStore(
            self.books,
            expiry_seconds=self.switches.expiry_seconds,
            private_addresses=self.switches.private_addresses == "allowed",
        )
        self.views = Views(self.switches, self.clock, settings.base_url, self.media.output_path)
        self.history = History(self.books, self.switches, self.views, self.clock)
        self.rules = RuleBook(settings.faults, self.books.journal)
        self.webhook_secret = self.books.webhook_secret()
        self._webhooks = WebhookSender(self.webhook_secret, self.clock, clock_factor=settings.clock)
        self.conductor = Conductor(
            books=self.books,
            media=self.media,
            renderer=self._renderer,
            views=self.views,
            webhooks=self._webhooks,
            switches=self.switches,
            concurrent=settings.limits.concurrent,
            clock_factor=settings.clock,
        )
        self.conductor.resume()

    async def close(self) -> None:
        await self.conductor.close()
        await self._webhooks.close()
        await self.media.close()
        self._renderer.close()
        self.books.close()

    def is_called_by_its_name(self, scope: Scope) -> bool:
        """Whether the Host header of a call is one of this machine's own, with the port of this service."""
        named = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        port = urlsplit(self.settings.base_url).port or _HTTP_PORT
        hosts = {f"{host}:{port}" for host in _HOSTS}
        return len(named) == 1 and (named[0] in hosts or (port == _HTTP_PORT and named[0] in _HOSTS))

    def authorize(self, request: Request) -> None:
        """Raises Refusal unless the call bears an API key that is accepted."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        accepted = scheme.lower() == "bearer" and key.strip() != ""
        if accepted and self.settings.key is not None:
            accepted = hmac.compare_digest(key.strip().encode(), self.settings.key.encode())
        if not accepted:
            raise Refusal(401, "Unauthorized: invalid or missing API key.")
