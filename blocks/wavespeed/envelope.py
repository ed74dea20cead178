"""The service's answers before anyone judges them: ``{"code":200,"message":"success","data":…}``, or not."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.retry_after import retry_after_seconds
from blocks.wavespeed.bounded_json import JsonOutOfBounds, NotJson, read_json
from blocks.wavespeed.statuses import TAKEN_ON_STATUSES, status_of
from blocks.wavespeed.values import whole_number

_LONGEST_MESSAGE = 300
# Of which the message is made: blanks and signs that are left out may stand between its letters.
_LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Answer:
    """``code`` is the envelope's number where there was one; ``oddity`` says what came instead of one.

    ``out_of_bounds`` tells that more was said than is read: a number out of any range, or JSON that is too deep.
    """

    status: int
    code: int | None = None
    message: str = ""
    data: Any = None
    retry_after: float | None = None
    oddity: str = ""
    out_of_bounds: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.code in (None, 200) and not self.oddity

    def described(self) -> str:
        """``HTTP 400, code 1400: “prompt is required”``, for use inside a sentence."""
        text = f"HTTP {self.status}"
        if self.code is not None and self.code != self.status:
            text += f", code {self.code}"
        if self.oddity:
            text += f", {self.oddity}"
        return f"{text}: “{self.message}”" if self.message else text


def one_line(text: str, *, secret: str = "") -> str:
    """Put the text on one line, without the secret, control characters or more than 300 characters."""
    # A secret this short would be cut out of ordinary words.
    if len(secret) >= 8:
        text = text.replace(secret, "[key]")
    text = text[:_LONGEST_TEXT]
    spaced = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)
    # Also gone: marks that turn the reading direction, and halves of characters that no file can hold.
    text = "".join(letter for letter in re.sub(r"\s+", " ", spaced) if letter.isprintable()).strip()
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1].rstrip() + "…"


def _message_of(document: dict[str, Any]) -> str:
    for key in ("message", "error", "detail", "msg"):
        value = document.get(key)
        if isinstance(value, dict):
            value = value.get("message") or value.get("error")
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _looks_like_html(body: bytes, content_type: str) -> bool:
    return "html" in content_type.lower() or body.lstrip()[:1] == b"<"


def read_answer(status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "") -> Answer:
    """Read what a response says. Never raises: what is not an envelope is an oddity.

    ``headers`` finds its keys regardless of case; ``secret`` is taken out of the message.
    """
    retry_after = retry_after_seconds(headers)
    if not body.strip():
        return Answer(status, retry_after=retry_after, oddity="an empty answer")
    if _looks_like_html(body, headers.get("content-type", "")):
        return Answer(status, retry_after=retry_after, oddity="an HTML page")
    try:
        reading = read_json(body)
    except JsonOutOfBounds as error:
        return Answer(status, retry_after=retry_after, oddity=str(error), out_of_bounds=True)
    except NotJson:
        # A refusal in plain text is worth quoting; broken JSON is not.
        text = one_line(body[:2000].decode("utf-8", "replace"), secret=secret)
        message = "" if text.startswith(("{", "[")) else text
        return Answer(status, message=message, retry_after=retry_after, oddity="not JSON")
    document, beyond = reading.document, reading.out_of_range
    if not isinstance(document, dict):
        return Answer(status, retry_after=retry_after, oddity="JSON of another shape", out_of_bounds=beyond)
    message = one_line(_message_of(document), secret=secret)
    if "data" not in document and (
        "id" in document or status_of(document.get("status")) in TAKEN_ON_STATUSES
    ):
        # Newer documentation shows the object bare; its code is the prediction's, not the envelope's.
        return Answer(status, None, message, document, retry_after, out_of_bounds=beyond)
    code = whole_number(document.get("code"))
    return Answer(status, code, message, document.get("data"), retry_after, out_of_bounds=beyond)
