"""Every error this project raises on purpose.

```
CampaignError                      foreseeable: shown as one line, never as a traceback
├── InvalidInput                   the CSV, an input or an option is wrong; nothing was spent       (exit 2)
├── BudgetRefused                  the cap or --frozen does not allow it; nothing more was spent    (exit 3)
├── NeedsPerson                    an attempt of unknown fate, a flagged picture                    (exit 5)
├── Stopped                        the run is ending (interrupt, refusing account)
├── LedgerUnusable                 locked, damaged, read-only or from a newer version
├── StoreUnusable                  the asset store cannot keep what would be paid for
├── MediaError                     bytes that are not the picture or clip they should be
│   ├── NotDecodable                   another type, truncated, HTML
│   │   └── TooLargeToDecode               more bytes, pixels or frames than are unpacked, as of a decompression bomb
│   └── MediaOutOfLimits               decodable, but outside what the model takes
├── FetchRefused                   a URL we do not follow: not https, private address, too large, too slow
├── CollectingFailed               an output that is paid for could not be had now; a later run collects it
└── ServiceError                   what the service, or the way to it, answered
    ├── Terminal                       asking again cannot help
    │   ├── AccountRefused                 key, credit, permission: stops all new spending          (exit 4)
    │   ├── RequestRefused                 a parameter or an input is not accepted
    │   ├── NotFound                       no such prediction, upload or output (any more)
    │   └── PredictionFailed               the prediction ended without outputs
    │       └── Moderated                      the service's moderation refused it
    ├── Transient                      asking again may help, and costs nothing
    │   ├── RateLimited                    429; not created
    │   ├── Unreachable                    no connection was made, so nothing was sent
    │   ├── Unavailable                    5xx, gateway page, broken reply to a call that is safe to repeat
    │   ├── InputNotFetched                1402: the service could not read an input; upload it again
    │   ├── ServerSideFailure              5000, 5003, 5004: the prediction failed for the service's own reasons
    │   ├── RequestLost                    the history shows that the request created nothing
    │   ├── WitnessAwaited                 a reply was lost; others are to be sent before it can be decided about
    │   └── OutputsExpired                 the outputs are older than the service keeps them
    └── OutcomeUnknown                 a POST that may have been accepted: never sent again blindly
        └── AcceptedWithoutId              one that was accepted, of which no id is known: never sent again
```
"""

from dataclasses import dataclass
from pathlib import Path


class CampaignError(Exception):
    """Foreseeable: its text is written for the person who reads it and says what to do next."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a campaign file. ``line`` counts as an editor does; the header is 1."""

    file: str
    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.column}: {self.message}"


class InvalidInput(CampaignError):
    """The campaign cannot start; carries every problem at once."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


def in_full(error: CampaignError) -> str:
    """What people are told: the error's sentence, or one line for each problem of a campaign file."""
    problems = error.problems if isinstance(error, InvalidInput) else ()
    return "\n".join(str(problem) for problem in problems) or str(error)


class BudgetRefused(CampaignError):
    pass


class NeedsPerson(CampaignError):
    pass


class Stopped(CampaignError):
    pass


class LedgerUnusable(CampaignError):
    pass


class StoreUnusable(CampaignError):
    pass


class MediaError(CampaignError):
    pass


class NotDecodable(MediaError):
    pass


class TooLargeToDecode(NotDecodable):
    pass


class MediaOutOfLimits(MediaError):
    """Says every limit that is broken, with what would be right."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class FetchRefused(CampaignError):
    def __init__(self, message: str, *, url: str = "", path: Path | None = None) -> None:
        super().__init__(message)
        self.url = url
        self.path = path


class CollectingFailed(CampaignError):
    """An output that is paid for could not be had in this run; its attempt stays ``completed``."""


class ServiceError(CampaignError):
    """``status`` is the HTTP status where there was one, ``code`` the service's own number where it gave one."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: int | None = None,
        prediction_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.prediction_id = prediction_id


class Terminal(ServiceError):
    pass


class AccountRefused(Terminal):
    pass


class RequestRefused(Terminal):
    pass


class NotFound(Terminal):
    pass


class PredictionFailed(Terminal):
    pass


class Moderated(PredictionFailed):
    pass


class Transient(ServiceError):
    """``retry_after`` is in seconds, where the service asked for a wait."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        code: int | None = None,
        prediction_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, prediction_id=prediction_id)
        self.retry_after = retry_after


class RateLimited(Transient):
    pass


class Unreachable(Transient):
    pass


class Unavailable(Transient):
    pass


class InputNotFetched(Transient):
    pass


class ServerSideFailure(Transient):
    pass


class RequestLost(Transient):
    """Sent, never answered, and certainly not accepted: the same attempt may be sent again."""


class WitnessAwaited(Transient):
    """A reply was lost, and the history is believed only where it shows later work: others go first."""


class OutputsExpired(Transient):
    """Too old to be collected free of charge: a new attempt may be paid for, within the budget."""


class OutcomeUnknown(ServiceError):
    pass


class AcceptedWithoutId(OutcomeUnknown):
    """Accepted, and so billed: only the account's history can say which prediction it became."""
