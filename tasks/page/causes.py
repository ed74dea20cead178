"""Why work came to nothing, in a few words, and what a reader can do about it."""

import re
from dataclasses import dataclass

from blocks.errors import (
    AccountRefused,
    InputNotFetched,
    Moderated,
    PredictionFailed,
    RequestRefused,
    ServerSideFailure,
    ServiceError,
)
from blocks.wavespeed.error_mapping import kind_of_failure, kind_told


@dataclass(frozen=True)
class Cause:
    name: str
    advice: str


_MODERATED = Cause("moderation", "change the prompt or the pictures, then run the campaign again")
_NOT_ACCEPTED = Cause("parameter not accepted", "correct the brief, then run the campaign again")
_ACCOUNT = Cause("account", "put key, credit or permission right, then run the campaign again")
_SERVER = Cause("failure inside the service", "run the campaign again; ask the service where it goes on")
# Of a prediction that failed: its message says the same.
_BY_KIND: dict[type[ServiceError], Cause] = {
    Moderated: _MODERATED,
    AccountRefused: _ACCOUNT,
    RequestRefused: _NOT_ACCEPTED,
    InputNotFetched: Cause("input not readable", "check that the file opens, then run the campaign again"),
    ServerSideFailure: _SERVER,
    PredictionFailed: _SERVER,
}
_EXPIRED = Cause("outputs expired", "the service keeps them for seven days; the next run makes them again")
# Of one that ended in another way, and so has no number.
_BY_CODE = {
    "expired": _EXPIRED,
    "timeout": Cause("took too long for the service", "run the campaign again"),
    "cancelled": Cause("cancelled at the service", "run the campaign again, or take the brief out"),
}
_BY_TEXT = (
    # Before all that what the service said could be taken for.
    (re.compile(r"^The service does not accept the request"), _NOT_ACCEPTED),
    (re.compile(r"moderation|sensitive", re.IGNORECASE), _MODERATED),
    (
        re.compile(r"flagged", re.IGNORECASE),
        Cause("flagged picture", "look at it, change the prompt or raise take"),
    ),
    (
        re.compile(r"\bbudget\b|\bcap\b", re.IGNORECASE),
        Cause("budget", "raise --budget and run the campaign again"),
    ),
    (re.compile(r"credit|API key|account may not", re.IGNORECASE), _ACCOUNT),
    (
        re.compile(r"pictures came", re.IGNORECASE),
        Cause("too few pictures", "raise take to pay for a new variation"),
    ),
    (re.compile(r"outputs .*have expired", re.IGNORECASE), _EXPIRED),
    (re.compile(r"unknown|reconcile", re.IGNORECASE), Cause("fate unknown", "ask `campaign reconcile`")),
    (re.compile(r"interrupt", re.IGNORECASE), Cause("interrupted", "run the same command again")),
)
_OTHER = Cause("other", "read the message of the brief, then run the campaign again")


# Most messages of the program say it themselves.
_SAYS_WHAT_TO_DO = re.compile(
    r"\b(change|raise|correct|check|look at|run|wait|set|name|choose|free)\b", re.IGNORECASE
)


def advice_beside(message: str) -> str | None:
    """What to do, where the message does not say it."""
    cause = cause_of(None, message)
    return None if cause is _OTHER or _SAYS_WHAT_TO_DO.search(message) else cause.advice


def cause_of(code: str | None, message: str | None) -> Cause:
    """As the message that the program wrote has it; by the service's code where the message does not tell."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    message = message or ""
    if (told := kind_told(message)) is not None:
        return _BY_KIND[told]
    if code is not None and code.isdecimal():
        kind = kind_of_failure(int(code), message)
        if kind is not PredictionFailed:
            return _BY_KIND[kind]
        if re.fullmatch(r"5\d\d|5\d\d\d", code):
            return _SERVER
    for pattern, cause in _BY_TEXT:
        if pattern.search(message):
            return cause
    return _SERVER if code == "failed" else _OTHER
