"""How the service answers: the envelope, its errors, its numbers."""

import math
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from fastapi.responses import HTMLResponse, JSONResponse, Response

from simulator.service_time import ServiceTime
from simulator.switches import RetryAfterForm

GATEWAY_TITLES = {502: "502 Bad Gateway", 504: "504 Gateway Time-out"}


class Refusal(Exception):
    """A call ends here with this error; ``retry_after`` is in seconds, ``error_code`` a word for the cause."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        error_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = status if code is None else code
        self.retry_after = retry_after
        self.error_code = error_code


def success(data: Any) -> Response:
    return JSONResponse({"code": 200, "message": "success", "data": data})


def error(refusal: Refusal, *, error_field: str, headers: dict[str, str] | None = None) -> Response:
    """The error in the envelope; its text stands under ``message`` or ``error``."""
    content: dict[str, Any] = {"code": refusal.code, error_field: refusal.message}
    if refusal.error_code is not None:
        content["error_code"] = refusal.error_code
    return JSONResponse(content, status_code=refusal.status, headers=headers)


def gateway_page(status: int) -> Response:
    title = GATEWAY_TITLES[status]
    return HTMLResponse(
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        status_code=status,
    )


def retry_after_headers(form: RetryAfterForm, seconds: float, clock: ServiceTime) -> dict[str, str]:
    """The wait asked for, in one of the forms that services use; none: no header."""
    match form:
        case "none":
            return {}
        case "seconds":
            return {"Retry-After": str(math.ceil(seconds))}
        case "milliseconds":
            return {"Retry-After-Ms": str(math.ceil(seconds * 1_000))}
        case "http_date":
            return {"Retry-After": clock.http_date(later_seconds=math.ceil(seconds))}


def dollars(millionths: int) -> float:
    """An amount for JSON, whose numbers are binary in every client.

    A float keeps 15 digits: its shortest text is the exact amount for all sums below a billion dollars.
    """
    return millionths / 1_000_000


def to_millionths(dollars: Decimal | Fraction) -> int:
    """Whole millionths of a dollar, rounded half up."""
    exact = Fraction(dollars) * 1_000_000
    return int((Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal(1), ROUND_HALF_UP))
