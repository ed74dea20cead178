"""The way to the API: one pooled HTTP/1.1 client that carries the key, and what every answer teaches."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import anyio
import httpx
from pydantic import SecretStr

from blocks.errors import InvalidInput, Transient, Unavailable
from blocks.proxies import UNUSABLE_PROXY, is_loopback
from blocks.retry_after import http_date
from blocks.wavespeed.address import checked_base_url, checked_key
from blocks.wavespeed.body import ACCEPTED_ENCODINGS, read_body
from blocks.wavespeed.clock_skew import ClockSkew, SkewObserver
from blocks.wavespeed.envelope import Answer, read_answer
from blocks.wavespeed.error_mapping import (
    error_of_repeatable,
    nothing_was_sent,
    said,
    unreachable,
)
from blocks.wavespeed.values import moment_of

SIMULATED_HEADER = "x-simulated"
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 20.0
# Shorter than any server's: a connection that the server closes at the moment of a POST makes its outcome
# unknown.
_KEEPALIVE_SECONDS = 3.0
_CONNECTIONS = 64


T = TypeVar("T")


def _never(_: Answer) -> bool:
    return False


class Connection:
    """Sends the key to the API's origin only and follows no redirect. Not for other hosts."""

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str,
        *,
        request_timeout: float,
        max_tries: int,
        patience_seconds: float,
        sleep: Callable[[float], Awaitable[None]],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if max_tries < 1 or request_timeout <= 0:
            raise InvalidInput(
                "The request timeout must be above 0 seconds and the number of tries at least 1."
            )
        self.base_url = checked_base_url(base_url)
        self._key = SecretStr(checked_key(api_key.get_secret_value()))
        self._request_timeout = request_timeout
        self._max_tries = max_tries
        self._patience_seconds = patience_seconds
        self._sleep = sleep
        self._skew = SkewObserver()
        self.host = httpx.URL(self.base_url).host
        self.simulated = False
        self.requests_sent: Counter[str] = Counter()
        try:
            self._http = httpx.AsyncClient(
                headers={
                    "User-Agent": "kling-campaigns",
                    "Accept": "application/json",
                    "Accept-Encoding": ACCEPTED_ENCODINGS,
                },
                timeout=httpx.Timeout(
                    request_timeout, connect=min(10.0, request_timeout / 4), pool=request_timeout / 4
                ),
                limits=httpx.Limits(
                    max_connections=_CONNECTIONS,
                    max_keepalive_connections=_CONNECTIONS,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                ),
                follow_redirects=False,
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
                # A proxy from the environment would see the key of a plain http call to loopback.
                trust_env=not is_loopback(self.host),
                transport=transport,
            )
        except (ImportError, ValueError) as error:
            raise InvalidInput(UNUSABLE_PROXY) from error

    async def aclose(self) -> None:
        await self._http.aclose()

    @property
    def clock(self) -> ClockSkew:
        return self._skew.interval()

    @property
    def request_timeout(self) -> float:
        return self._request_timeout

    @property
    def key(self) -> str:
        """For taking it out of texts and for the header; goes nowhere else."""
        return self._key.get_secret_value()

    async def once(
        self,
        call: str,
        method: str,
        path: str,
        *,
        seconds: float | None = None,
        before_sending: Callable[[], Awaitable[None]] | None = None,
        **content: Any,
    ) -> Answer:
        """One exchange, sent at most once and over within the request timeout (or ``seconds``).

        ``before_sending`` is called when the connection stands and not a byte of the request has left; what it raises
        keeps the request from being sent. Raises httpx.RequestError or TimeoutError where no whole answer came.
        """
        self.requests_sent[call] += 1
        if before_sending is not None:
            content["extensions"] = {"trace": _calling(before_sending)}
        request = self._http.build_request(
            method,
            f"{self.base_url}/api/v3/{path}",
            headers={"Authorization": f"Bearer {self.key}"},
            **content,
        )
        sent = datetime.now(UTC)
        with anyio.fail_after(seconds or self._request_timeout):
            response = await self._http.send(request, stream=True)
            try:
                received = datetime.now(UTC)
                body = await read_body(response)
            finally:
                await response.aclose()
        self.simulated = self.simulated or SIMULATED_HEADER in response.headers
        date = moment_of(http_date(response.headers.get("date")))
        if date is not None and response.is_success:
            self._skew.learn(date, sent=sent, received=received)
        return read_answer(response.status_code, response.headers, body, secret=self.key)

    async def ask(
        self,
        call: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        accept: Callable[[Answer], bool] = _never,
    ) -> Any:
        """Return ``data`` of a call that is safe to repeat, repeated here for passing causes.

        ``accept`` may take an answer that is not marked as a success. Raises a ServiceError: Terminal at
        once, Transient when the tries are used up.
        """
        content = {} if json is None else {"json": json}

        async def attempt() -> Any:
            return await self.asked_once(call, method, path, accept=accept, **content)

        return await self.repeated(attempt)

    async def asked_once(
        self,
        call: str,
        method: str,
        path: str,
        *,
        seconds: float | None = None,
        accept: Callable[[Answer], bool] = _never,
        **content: Any,
    ) -> Any:
        """Return ``data`` of one exchange; its failures as ServiceErrors of a call that is safe to repeat."""
        try:
            answer = await self.once(call, method, path, seconds=seconds, **content)
        except (httpx.RequestError, TimeoutError) as error:
            raise self.failed_exchange(error) from error
        if not (answer.ok or accept(answer)):
            raise error_of_repeatable(answer)
        return answer.data

    def failed_exchange(self, error: Exception) -> Transient:
        """Return the error of an exchange without an answer, for a call that is safe to repeat."""
        if nothing_was_sent(error):
            return unreachable(self.host, error)
        return Unavailable(
            f"{self.host} did not answer ({said(error)}). Nothing was spent by asking; try again later."
        )

    async def repeated(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what ``attempt`` does, tried again after passing errors, with back-off between.

        Where the service says how long, that is waited; a wait beyond the patience is not begun.
        """
        waited = 0.0
        for tries in range(1, self._max_tries + 1):
            try:
                return await attempt()
            except Transient as error:
                waited += error.retry_after or 0.0
                if tries == self._max_tries or waited > self._patience_seconds:
                    raise
                await self._sleep(backoff_seconds(tries, error.retry_after))
        raise AssertionError("the last try returns or raises")


def backoff_seconds(
    tries: int, retry_after: float | None = None, *, draw: Callable[[], float] = random.random
) -> float:
    """Return the seconds before the next try: full jitter, on top of what the service asked for."""
    jittered = min(_FIRST_BACKOFF_SECONDS * 2.0 ** (tries - 1), _LONGEST_BACKOFF_SECONDS) * draw()
    return jittered if retry_after is None else retry_after + min(jittered, 1.0)


def _calling(before_sending: Callable[[], Awaitable[None]]) -> Callable[[str, Any], Awaitable[None]]:
    """A listener to the steps of an exchange, by which httpx's transport tells of each before it takes it."""

    async def listen(step: str, _details: Any) -> None:
        if step.endswith("send_request_headers.started"):
            await before_sending()

    return listen
