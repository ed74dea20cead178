"""Why work came to nothing, in a few words, and what a reader can do about it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    name: str
    advice: str


_MODERATED = Cause("moderation", "change the prompt or the pictures, then run the campaign again")
_BY_CODE = {
    "1200": _MODERATED,
    "1400": Cause("parameter not accepted", "correct the brief, then run the campaign again"),
    "1401": Cause("parameter not accepted", "correct the brief, then run the campaign again"),
    "1402": Cause("input not readable", "check that the file opens, then run the campaign again"),
    "expired": Cause(
        "outputs expired", "the service keeps them for seven days; the next run makes them again"
    ),
    "timeout": Cause("took too long for the service", "run the campaign again"),
    "cancelled": Cause("cancelled at the service", "run the campaign again, or take the brief out"),
}
_SERVER = Cause("failure inside the service", "run the campaign again; ask the service where it goes on")
_BY_TEXT = (
    (re.compile(r"moderation|sensitive", re.IGNORECASE), _MODERATED),
    (
        re.compile(r"flagged", re.IGNORECASE),
        Cause("flagged picture", "look at it, change the prompt or raise take"),
    ),
    (
        re.compile(r"\bbudget\b|\bcap\b", re.IGNORECASE),
        Cause("budget", "raise --budget and run the campaign again"),
    ),
    (
        re.compile(r"credit|API key|account may not", re.IGNORECASE),
        Cause("account", "put key, credit or permission right, then run the campaign again"),
    ),
    (
        re.compile(r"pictures came", re.IGNORECASE),
        Cause("too few pictures", "raise take to pay for a new variation"),
    ),
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
    """By the service's code where there is one, otherwise by the message that the program wrote."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code is not None and re.fullmatch(r"429|5\d\d|5\d\d\d", code):
        return _SERVER
    for pattern, cause in _BY_TEXT:
        if message and pattern.search(message):
            return cause
    return _SERVER if code == "failed" else _OTHER
