"""What a person says about held attempts: which prediction one made, or that it made none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blocks.errors import InvalidInput, NeedsPerson, NotFound
from blocks.ledger import AttemptRow, AttemptState, IllegalTransition, Ledger
from blocks.wavespeed import Prediction, WaveSpeedClient


@dataclass(frozen=True)
class PersonDecisions:
    """``adopt`` pairs attempt numbers with prediction ids; ``release`` has those that may be sent again.

    ``place`` has predictions that the ledger lacks and is to take over, ``not_mine`` those that it did not make.
    """

    adopt: tuple[tuple[int, str], ...] = ()
    release: tuple[int, ...] = ()
    place: tuple[str, ...] = ()
    not_mine: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls, adopt: Sequence[str], release: Sequence[str], not_mine: Sequence[str] = ()
    ) -> "PersonDecisions":
        """From ``ATTEMPT=PREDICTION`` or ``PREDICTION``, and ``ATTEMPT``. Raises InvalidInput with every problem."""
        problems: list[str] = []
        pairs: list[tuple[int, str]] = []
        numbers: list[int] = []
        place = [text.strip() for text in adopt if _is_prediction(text)]
        not_mine = [text.strip() for text in not_mine]
        problems += [f"--not-mine {text}: right would be a prediction's id" for text in not_mine if not text]
        for text in adopt:
            if _is_prediction(text):
                continue
            number, _, prediction_id = text.partition("=")
            if _is_number(number) and prediction_id.strip():
                pairs.append((int(number), prediction_id.strip()))
            else:
                problems.append(
                    f"--adopt {text}: right would be ATTEMPT=PREDICTION, such as 12=0f0d05d2b0b6…, or a "
                    "prediction that the ledger lacks"
                )
        for text in release:
            if _is_number(text):
                numbers.append(int(text))
            else:
                problems.append(f"--release {text}: right would be an attempt's number, such as 12")
        said = Counter([*(number for number, _ in pairs), *numbers])
        problems += [
            f"attempt {number} is decided about twice" for number, times in said.items() if times > 1
        ]
        given = Counter([*(prediction_id for _, prediction_id in pairs), *place, *not_mine])
        problems += [
            f"prediction {key} is decided about twice; it was made by one attempt at most"
            for key, times in given.items()
            if times > 1
        ]
        _raise(problems)
        return cls(tuple(pairs), tuple(numbers), tuple(place), tuple(not_mine))

    @property
    def attempts(self) -> set[int]:
        return {*(number for number, _ in self.adopt), *self.release}

    async def carry_out(
        self, ledger: Ledger, client: WaveSpeedClient, service: str, ours: frozenset[str | None]
    ) -> None:
        """Checks all of them and then writes them into the ledger: one that is refused leaves all undone.

        ``ours`` are the accounts that the client's key is of.

        Raises InvalidInput with every reason; a ServiceError where the account cannot be asked.
        """
        if not self.attempts:
            return
        busy = ledger.at_work(service)
        problems: list[str] = []
        found: dict[int, Prediction] = {}
        for number in sorted(self.attempts):
            attempt = _attempt(ledger, number, service)
            problem = _not_to_be_decided(attempt, number, busy, ours if number in self.release else None)
            if problem:
                problems.append(problem)
        for number, prediction_id in self.adopt:
            prediction = await _shown(client, prediction_id)
            attempt = _attempt(ledger, number, service)
            problem = _cannot_be(prediction, attempt, ledger)
            if problem:
                problems.append(f"--adopt {number}={prediction_id}: {problem}")
            elif prediction is not None:
                found[number] = prediction
        for number in self.release:
            attempt = _attempt(ledger, number, service)
            if attempt is not None and attempt.prediction_id is not None:
                problems.append(
                    f"--release {number}: it has made the prediction {attempt.prediction_id}, and would be paid for "
                    f"twice; `--adopt {number}={attempt.prediction_id}` lets the next run collect that one"
                )
        _raise(problems)
        try:
            for number, prediction in found.items():
                ledger.adopt(number, prediction_id=prediction.id, service_created_at=prediction.created_at)
            for number in self.release:
                ledger.send_again(number, of_another_account=ledger.attempt(number).account not in ours)
        except (NeedsPerson, IllegalTransition) as error:
            raise InvalidInput(
                f"somebody else has decided at the same moment: {error}; look again with `campaign reconcile`"
            ) from error


def _is_prediction(text: str) -> bool:
    """Of one that the ledger lacks: an id alone. A number alone is an attempt's, without its prediction."""
    return bool(text.strip()) and "=" not in text and not _is_number(text)


def _is_number(text: str) -> bool:
    return text.strip().isascii() and text.strip().isdecimal()


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise InvalidInput("\n".join([*problems, "nothing was changed"]))


def _attempt(ledger: Ledger, number: int, service: str) -> AttemptRow | None:
    try:
        attempt = ledger.attempt(number)
    except LookupError:
        return None
    return attempt if attempt.service == service else None


def _not_to_be_decided(
    attempt: AttemptRow | None, number: int, busy: set[int], ours: frozenset[str | None] | None
) -> str | None:
    """``ours`` where it is to be sent again: what another account was asked for, none of our records decides."""
    if attempt is None:
        return f"the ledger has no attempt {number} of this service; `campaign reconcile` lists those that are held"
    if attempt.id in busy:
        return f"a run is at work on attempt {number}; wait for the run's end"
    if attempt.state is AttemptState.INTENT:
        if ours is not None and attempt.account not in ours:
            return None
        return f"attempt {number} is {attempt.state}, not held: the next run looks for it in the account's history"
    if attempt.state not in {AttemptState.UNKNOWN, AttemptState.HELD}:
        return f"attempt {number} is {attempt.state}, not held: there is nothing to decide about it"
    return None


async def _shown(client: WaveSpeedClient, prediction_id: str) -> Prediction | None:
    try:
        return await client.result(prediction_id)
    except NotFound:
        return None


def _cannot_be(prediction: Prediction | None, attempt: AttemptRow | None, ledger: Ledger) -> str | None:
    """Why the attempt cannot have made the prediction; None where it can, or where there is no such attempt."""
    if prediction is None:
        return "the account shows no prediction of this id; only those of the last seven days can be adopted"
    if attempt is None:
        return None
    if prediction.model not in {"", attempt.model}:
        return f"it was made with {prediction.model}, the attempt asked {attempt.model}"
    if prediction.status == "deleted":
        return "it was deleted from the account, so its outputs cannot be collected"
    if prediction.id != attempt.prediction_id and not ledger.unknown_ids(attempt.service, [prediction.id]):
        return "another attempt has made it"
    return None
