"""The fault file: one JSON document that says how this simulated service is odd, and when it misbehaves.

```json
{
  "switches": {"history_input": "none", "retry_after": "seconds", "starting_credit_usd": "5.00"},
  "rules": [
    {"on": "submit", "prompt_contains": "lost", "times": 1, "do": "lose_reply"},
    {"on": "submit", "every": 3, "do": "fail_prediction", "code": 1200},
    {"on": "result", "nth": [1, 2], "do": "http_status", "status": 429, "retry_after": 1.5},
    {"on": "download", "probability": 0.1, "seed": 7, "do": "truncated"}
  ]
}
```

``switches`` are the points that the service's documentation leaves open (class ``Switches``). ``rules`` fire
on matching calls (class ``Matching`` says on which, and the classes below it what they do). On one call every
``delay`` and every rule about the prediction's fate takes effect; of the rules that answer in the service's
place the first to fire wins, and the rules after it do not see the call.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simulator.errors import FaultsInvalid
from simulator.switches import RetryAfterForm, Switches

On = Literal["submit", "result", "history", "upload", "put", "download", "balance", "price", "billings"]

_EVERY_CALL: frozenset[str] = frozenset(On.__args__)  # type: ignore[attr-defined]  # typing knows no Literal's values
_WITH_PROMPT = frozenset({"submit", "price", "result", "download"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Matching(_Strict):
    """On which calls a rule fires.

    ``model`` and ``prompt_contains`` look at the prediction (or the price asked for) that the call is about;
    calls about none have neither. Of the calls that match, ``nth`` picks by number from 1, ``every`` each
    n-th, ``probability`` by chance, reproducibly from ``seed``; none of the three: all. ``times`` ends it
    after so many. Counts outlive a restart.
    """

    allowed: ClassVar[frozenset[str]] = _EVERY_CALL

    on: On
    model: str | None = None
    prompt_contains: str | None = None
    nth: tuple[int, ...] | None = None
    every: int | None = Field(default=None, ge=1)
    probability: float | None = Field(default=None, ge=0, le=1)
    seed: int = 0
    times: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.on not in self.allowed:
            raise ValueError(f"this action works on {', '.join(sorted(self.allowed))}, not on {self.on}")
        if self.on not in _WITH_PROMPT and (self.model is not None or self.prompt_contains is not None):
            raise ValueError(
                f"model and prompt_contains match on {', '.join(sorted(_WITH_PROMPT))} only, not on {self.on}"
            )
        if sum(choice is not None for choice in (self.nth, self.every, self.probability)) > 1:
            raise ValueError("give one of nth, every and probability, not several")
        return self


class HttpStatus(Matching):
    """Answers with an error in the envelope; nothing is performed.

    ``retry_after`` is in seconds and is sent in the form of the switch (where that is "none": as seconds).
    ``error_code`` is a word beside the number, as services give it with 403.
    """

    do: Literal["http_status"]
    status: int = Field(ge=300, le=599)
    message: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    retry_after_form: RetryAfterForm | None = None
    error_code: str | None = None


class HtmlGateway(Matching):
    """A gateway's HTML page; nothing is performed."""

    do: Literal["html_gateway"]
    status: Literal[502, 504] = 502


class Reset(Matching):
    """Closes the connection without an answer; nothing is performed."""

    do: Literal["reset"]


class LoseReply(Matching):
    """Performs the call fully (a submit is accepted and billed), then closes the connection unanswered."""

    do: Literal["lose_reply"]


class LoseReplyAsHtml(Matching):
    """Performs the call fully, then answers a gateway's HTML page."""

    do: Literal["lose_reply_as_html"]
    status: Literal[502, 504] = 502


class LoseReplyAs5xx(Matching):
    """Performs the call fully, then answers a server error in the envelope."""

    do: Literal["lose_reply_as_5xx"]
    status: int = Field(default=500, ge=500, le=599)
    message: str = "Internal server error"


class LoseReplyAs4xx(Matching):
    """Performs the call fully, then answers with a refusal in the envelope, as if nothing had been done."""

    do: Literal["lose_reply_as_4xx"]
    status: int = Field(default=429, ge=400, le=499)
    message: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    error_code: str | None = None


class NoId(Matching):
    """The submit is accepted and billed, but its answer lacks the id."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["no_id"]


class Delay(Matching):
    """Waits before the call is performed; ``seconds`` are real, the clock does not scale them."""

    do: Literal["delay"]
    seconds: float = Field(ge=0)


class EnvelopeCode(Matching):
    """HTTP 200 whose envelope says another code; nothing is performed."""

    do: Literal["envelope_code"]
    code: int
    message: str = "Request failed"


class FailPrediction(Matching):
    """The prediction is accepted and billed and ends badly at its due time."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["fail_prediction"]
    code: Literal[1200, 1400, 1401, 1402, 1403, 1405, 1407, 5000, 5003, 5004] = 5000
    status: Literal["failed", "cancelled", "timeout"] = "failed"
    message: str | None = None


class Stuck(Matching):
    """The prediction is accepted and billed and never ends; it keeps its place among those in work."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["stuck"]


class UnknownStatus(Matching):
    """A status that no client knows.

    On submit: in the first ``looks`` results of that prediction; on result: in that answer.
    """

    allowed: ClassVar[frozenset[str]] = frozenset({"submit", "result"})
    do: Literal["unknown_status"]
    status: str = "reviewing"
    looks: int = Field(default=3, ge=1)


class FewerOutputs(Matching):
    """The prediction completes with ``outputs`` outputs at most; it is billed for all that were asked for."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["fewer_outputs"]
    outputs: int = Field(ge=0)


class OutputsLater(Matching):
    """The prediction completes, and shows its outputs only so many seconds later, or never; real time."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["outputs_later"]
    seconds: float | None = Field(default=None, ge=0)


class Nsfw(Matching):
    """Flags outputs in ``has_nsfw_contents``: those with the numbers in ``flagged`` (from 1), or all."""

    allowed: ClassVar[frozenset[str]] = frozenset({"submit"})
    do: Literal["nsfw"]
    flagged: tuple[int, ...] | None = None


class _Download(Matching):
    allowed: ClassVar[frozenset[str]] = frozenset({"download"})


class Truncated(_Download):
    """Announces the full length, sends ``fraction`` of it and closes the connection."""

    do: Literal["truncated"]
    fraction: float = Field(default=0.5, ge=0, lt=1)


class Slow(_Download):
    do: Literal["slow"]
    bytes_per_second: int = Field(ge=1)


class Endless(_Download):
    """Announces no length and never stops sending."""

    do: Literal["endless"]


class WrongType(_Download):
    """An HTML page with status 200 where the picture or clip should be."""

    do: Literal["wrong_type"]


class WrongBytes(_Download):
    """Another medium than was asked for (a GIF of one pixel), announced as the right one."""

    do: Literal["wrong_bytes"]


class Redirect(_Download):
    do: Literal["redirect"]
    url: str
    status: Literal[301, 302, 303, 307, 308] = 302


Rule = Annotated[
    HttpStatus
    | HtmlGateway
    | Reset
    | LoseReply
    | LoseReplyAsHtml
    | LoseReplyAs5xx
    | LoseReplyAs4xx
    | NoId
    | Delay
    | EnvelopeCode
    | FailPrediction
    | Stuck
    | UnknownStatus
    | FewerOutputs
    | OutputsLater
    | Nsfw
    | Truncated
    | Slow
    | Endless
    | WrongType
    | WrongBytes
    | Redirect,
    Field(discriminator="do"),
]


class Faults(_Strict):
    """The whole document; both parts may be left out."""

    switches: Switches = Switches()
    rules: tuple[Rule, ...] = ()


def load_faults(source: Path | dict[str, Any] | None) -> Faults:
    """The faults of a JSON file or of an equal dict; None: a service without any.

    Raises FaultsInvalid with every problem, each with its place in the document.
    """
    if source is None:
        return Faults()
    name = str(source) if isinstance(source, Path) else "faults"
    try:
        document = (
            json.loads(source.read_bytes(), parse_float=Decimal) if isinstance(source, Path) else source
        )
    except OSError as error:
        raise FaultsInvalid(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise FaultsInvalid(f"{name} is no JSON document: {error}") from error
    try:
        return Faults.model_validate(document)
    except ValidationError as error:
        lines = (
            f"{name}: {'.'.join(str(part) for part in problem['loc']) or 'document'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise FaultsInvalid("\n".join(lines)) from error
