"""From what the service answered to the error that says what it means for money: pure functions."""

import re

import httpx

from blocks.errors import (
    AcceptedWithoutId,
    AccountRefused,
    InputNotFetched,
    Moderated,
    NotFound,
    OutcomeUnknown,
    PredictionFailed,
    RateLimited,
    RequestRefused,
    ServerSideFailure,
    ServiceError,
    Unavailable,
    Unreachable,
)
from blocks.wavespeed.envelope import Answer, one_line
from blocks.wavespeed.statuses import ENDED_STATUSES, TAKEN_ON_STATUSES, status_of

MODERATED = 1200
BAD_PARAMETER = frozenset({1400, 1401})
INPUT_NOT_FETCHED = 1402
NO_CREDIT = 1407
SERVER_SIDE = frozenset({429, 500, 502, 503, 504, 5000, 5003, 5004})

_CREDIT = re.compile(
    r"(insufficient|not enough|out of)\s+(credit|balance|fund)"
    r"|(credit|balance)s?\s+(is |are )?(insufficient|not enough|exhausted)"
    r"|top up your account",
    re.IGNORECASE,
)
_MODERATION = re.compile(r"flagged as potentially sensitive|content[ _-]?(policy|moderation)", re.IGNORECASE)
_SERVER_SIDE_TEXT = re.compile(r"HTTP (5\d\d|429)\b")
# A gateway says these of a request that may have reached the service behind it all the same.
_AMBIGUOUS_STATUSES = frozenset({408, 499})
_AGAIN = "then run the same command again: it goes on where it stopped"
_SAID_OF_FAILURES: dict[type[ServiceError], str] = {
    Moderated: "The service's moderation refused it: change the prompt or the pictures.",
    AccountRefused: f"Top up the account, {_AGAIN}.",
    RequestRefused: "Correct the brief.",
    InputNotFetched: "The service could not read an input; it has to be uploaded again.",
    ServerSideFailure: "The cause is on the service's side; a new attempt may succeed.",
    PredictionFailed: "The service refunds failed predictions within hours; change the brief or raise its take "
    "to try anew.",
}


def _account_refused(
    described: str, numbers: set[int | None], *, status: int, code: int | None
) -> AccountRefused:
    if 401 in numbers:
        text = f"The service does not accept the API key ({described}). Check WAVESPEED_API_KEY, {_AGAIN}."
    elif 403 in numbers:
        text = f"The account may not do this ({described}). Check what the key is permitted, {_AGAIN}."
    else:
        text = f"The account's credit does not suffice ({described}). Top up the account, {_AGAIN}."
    return AccountRefused(text, status=status, code=code)


def clear_refusal(answer: Answer) -> ServiceError | None:
    """Return the refusal that the answer certainly is, whatever was asked; None where it is unclear."""
    if answer.status >= 500 or 300 <= answer.status < 400 or answer.status in _AMBIGUOUS_STATUSES:
        return None
    described, status, code = answer.described(), answer.status, answer.code
    numbers = {answer.status, answer.code}
    refused = 400 <= answer.status < 500 or 400 <= (answer.code or 0) < 500
    if 429 in numbers:
        return RateLimited(
            f"The service asks for a pause ({described}). Nothing was created: run the same command again later, and "
            "it goes on where it stopped. A run waits for this by itself for CAMPAIGN_PATIENCE_SECONDS at most.",
            retry_after=answer.retry_after,
            status=status,
            code=code,
        )
    if NO_CREDIT in numbers or (refused and _CREDIT.search(answer.message)):
        return _account_refused(described, {402}, status=status, code=code)
    if numbers & {401, 402, 403}:
        return _account_refused(described, numbers, status=status, code=code)
    if MODERATED in numbers or (refused and _MODERATION.search(answer.message)):
        return Moderated(
            f"The service's moderation refused the request ({described}). Change the prompt or the pictures.",
            status=status,
            code=code,
        )
    if INPUT_NOT_FETCHED in numbers:
        return InputNotFetched(
            f"The service could not read an input ({described}). It has to be uploaded again.",
            status=status,
            code=code,
        )
    if 404 in numbers:
        return NotFound(
            f"The service does not know what was asked for ({described}). It may be older than seven days, "
            "or WAVESPEED_BASE_URL or the key may belong to another account.",
            status=status,
            code=code,
        )
    if numbers & BAD_PARAMETER or (refused and not numbers & _AMBIGUOUS_STATUSES):
        return RequestRefused(
            f"The service does not accept the request ({described}). Correct the brief it belongs to.",
            status=status,
            code=code,
        )
    return None


def shows_taken_on(answer: Answer) -> bool:
    """Tell whether the answer shows a prediction that is under way or done, whatever numbers stand beside it."""
    data = answer.data
    return isinstance(data, dict) and status_of(data.get("status")) in TAKEN_ON_STATUSES


def says_accepted(answer: Answer) -> bool:
    """Tell whether a submit's answer says that the request was accepted, even where it gives no usable id."""
    if shows_taken_on(answer):
        return True
    if not 200 <= answer.status < 300 or clear_refusal(answer) is not None:
        return False
    data = answer.data if isinstance(answer.data, dict) else {}
    named = data.get("id") not in (None, "", False)
    return answer.code == 200 or named or status_of(data.get("status")) in ENDED_STATUSES


def error_of_submit(answer: Answer) -> ServiceError:
    """Return the error of a submit answer that carries no prediction id: accepted all the same, a clear refusal,
    or an unknown outcome.
    """
    if says_accepted(answer):
        return AcceptedWithoutId(
            f"The service accepted a request, but its answer has no id that can be used ({answer.described()}). It is "
            "never sent again by itself: run the same command again, or `campaign reconcile`, and the account's "
            "history is asked for it.",
            status=answer.status,
            code=answer.code,
        )
    # What was not read whole refuses nothing.
    error = None if answer.out_of_bounds else clear_refusal(answer)
    if isinstance(error, NotFound):
        return RequestRefused(
            f"The service does not know this model ({answer.described()}). Check WAVESPEED_BASE_URL.",
            status=answer.status,
            code=answer.code,
        )
    return error or outcome_unknown(answer.described(), status=answer.status, code=answer.code)


def outcome_unknown(what: str, *, status: int | None = None, code: int | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"The service may or may not have accepted a request ({what}). It is not sent again blindly: run the "
        "same command again, or `campaign reconcile`, and the account's history is asked first.",
        status=status,
        code=code,
    )


def error_of_repeatable(answer: Answer) -> ServiceError:
    """Return the error of an answer to a call that is safe to repeat: a clear refusal, or Unavailable."""
    if 300 <= answer.status < 400:
        return RequestRefused(
            f"The service answers with a redirect (HTTP {answer.status}), which the API key does not follow. "
            "Set WAVESPEED_BASE_URL to where the API is now.",
            status=answer.status,
        )
    return clear_refusal(answer) or Unavailable(
        f"The service did not answer properly ({answer.described()}). Nothing was spent by asking; "
        "try again later.",
        status=answer.status,
        code=answer.code,
        retry_after=answer.retry_after,
    )


def nothing_was_sent(error: Exception) -> bool:
    """Tell whether no connection came about, so that no byte of the request can have arrived."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)


def said(error: Exception) -> str:
    """Say what a failed exchange was; httpx leaves many of its errors without a text."""
    if isinstance(error, TimeoutError | httpx.ReadTimeout | httpx.WriteTimeout):
        return "no answer in time"
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection in time"
    if isinstance(error, httpx.ConnectError):
        return f"no connection: {one_line(str(error)) or 'refused'}"
    return f"the connection broke: {one_line(str(error)) or type(error).__name__}"


def unreachable(host: str, error: Exception) -> Unreachable:
    return Unreachable(
        f"{host} cannot be reached ({said(error)}); nothing was sent. "
        "Check the network and WAVESPEED_BASE_URL."
    )


def kind_of_failure(code: int, reason: str) -> type[ServiceError]:
    """What a failed prediction's code, and the service's words for it, mean.

    Moderation and credit are told by the words as well: the service gives them under other numbers, too.
    """
    if code == MODERATED or _MODERATION.search(reason):
        return Moderated
    if code == NO_CREDIT or _CREDIT.search(reason):
        return AccountRefused
    if code in BAD_PARAMETER:
        return RequestRefused
    if code == INPUT_NOT_FETCHED:
        return InputNotFetched
    if code in SERVER_SIDE or _SERVER_SIDE_TEXT.search(reason):
        return ServerSideFailure
    return PredictionFailed


def kind_told(message: str) -> type[ServiceError] | None:
    """The kind of failure that an error's own text tells: whoever names its cause says the same as it does.

    None where it is of no prediction that failed. What the service said stands between quotation marks before that.
    """
    return next((kind for kind, said_of in _SAID_OF_FAILURES.items() if message.endswith(said_of)), None)


def error_of_ending(status: str, *, code: int, reason: str, prediction_id: str) -> ServiceError:
    """Return the error of a prediction that ended, in ``status``, without outputs that could be kept."""
    said_by_service = one_line(reason)
    described = f"{status}, code {code}" if code else status
    if said_by_service:
        described += f": “{said_by_service}”"
    where = f"Prediction {prediction_id} ended without outputs ({described})."
    kind = kind_of_failure(code, reason) if status == "failed" else PredictionFailed
    return kind(f"{where} {_SAID_OF_FAILURES[kind]}", code=code, prediction_id=prediction_id)
