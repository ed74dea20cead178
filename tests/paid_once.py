"""What a campaign came to, from the service's books, and what has to hold of it after any trouble."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from campaign_support import charged_millionths

from blocks.ledger import AttemptRow, AttemptState, Ledger
from simulator.books import Books
from simulator.records import Call
from tasks.record import RunRecord

CLOSED = {AttemptState.STORED, AttemptState.FAILED, AttemptState.WITHDRAWN}
_LOSING = ("lose_reply", "no_id")
Piece = tuple[str, str]  # model and prompt; where two pieces share both, their inputs make the difference


@dataclass(frozen=True)
class Result:
    """``made`` and ``charged`` are by piece: completed predictions, and millionths less those refunded.

    ``assets`` are the sha256 of the files in the run's folder, by their place.
    """

    made: Mapping[Piece, int]
    charged: Mapping[Piece, int]
    assets: Mapping[str, str]


@dataclass(frozen=True)
class Tally:
    """What befell a schedule, and what came of it by the service's books; tallies add up.

    ``duplicates`` are completed predictions beyond an undisturbed run's, ``orphans`` predictions that the
    ledger does not know and that nobody is asked about, ``lost`` assets that an undisturbed run has and this one lacks,
    ``over_budget`` runs that spent more than their cap. Schedules that ended with a question to a person:
    ``unwitnessed`` for want of anything that shows that the history's silence can be believed, ``lost_too_often``
    after several lost replies to one piece of work, ``held`` for anything else.
    """

    schedules: int = 0
    kills: int = 0
    interrupts: int = 0
    lost_replies: int = 0
    other_faults: int = 0
    restarts: int = 0
    accepted: int = 0
    held: int = 0
    unwitnessed: int = 0
    lost_too_often: int = 0
    duplicates: int = 0
    orphans: int = 0
    lost: int = 0
    over_budget: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def lost_replies(books: Books) -> int:
    """How often a request was accepted, and its answer did not say so."""
    return sum(1 for call in books.calls() if call.prediction_id and _loses_reply(call))


def other_faults(books: Books) -> int:
    """How many calls met any other fault."""
    return sum(1 for call in books.calls() if call.fault and not (call.prediction_id and _loses_reply(call)))


def _loses_reply(call: Call) -> bool:
    return call.method == "POST" and any(form in (call.fault or "") for form in _LOSING)


class Campaign:
    """One folder's ledger and runs, beside the books of the service that it worked with."""

    def __init__(self, folder: Path, books: Books) -> None:
        self.folder = folder
        self.books = books
        with Ledger.open(f"sqlite:///{folder / '.campaign' / 'ledger.sqlite'}") as ledger:
            self.attempts: list[AttemptRow] = ledger.attempts()
            self.runs = ledger.runs()
            texts = {run.id: ledger.run_record(run.id) for run in self.runs}
        self.records = {run: RunRecord.model_validate_json(text) for run, text in texts.items() if text}

    @property
    def last(self) -> RunRecord:
        return self.records[self.runs[0].id]

    def result(self) -> Result:
        made: Counter[Piece] = Counter()
        charged: Counter[Piece] = Counter()
        piece_of = {p.id: (p.model, p.prompt or "") for p in self.books.predictions()}
        for prediction in self.books.predictions():
            if prediction.status == "completed":
                made[piece_of[prediction.id]] += 1
        for charge in self.books.charges():
            if charge.prediction_id is not None:
                sign = {"deduct": 1, "refund": -1}[charge.kind]
                charged[piece_of[charge.prediction_id]] += sign * charge.amount
        folder = self.folder / "runs" / self.last.run
        files = sorted(path for path in folder.glob("assets/**/*") if path.is_file())
        hashes = {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        }
        return Result(dict(made), dict(charged), hashes)

    def check_done(self, undisturbed: Result) -> None:
        """Everything is there, as if nothing had happened, and the tables account for every cent."""
        found = self.result()
        assert found.made == undisturbed.made, "pieces of work were made more than once, or not at all"
        assert found.charged == undisturbed.charged, "the bill is not that of an undisturbed run"
        assert found.assets == undisturbed.assets, "the assets are not those of an undisturbed run"
        assert {brief.status for brief in self.last.briefs} == {"done"}
        left_open = {a.id: a.state.value for a in self.attempts if a.state not in CLOSED}
        assert not left_open, f"attempts left open: {left_open}"
        self.check_ids()
        self.check_tables()

    def check_ids(self) -> None:
        """No orphan and no ghost: the ledger's predictions are the account's."""
        ours = Counter(attempt.prediction_id for attempt in self.attempts if attempt.prediction_id)
        theirs = Counter(prediction.id for prediction in self.books.predictions())
        assert not theirs - ours, f"orphans: {theirs - ours}"
        assert not ours - theirs, f"ghosts, or ids taken twice: {ours - theirs}"

    def check_tables(self) -> None:
        """What the tables of all runs say is what the service charged, but for refunds that came later.

        A run that was killed over its tables can write them again from its record.
        """
        by_run = {run: sum(stage.charged for stage in record.stages) for run, record in self.records.items()}
        refunds = sum(charge.amount for charge in self.books.charges() if charge.kind == "refund")
        later = refunds - sum(attempt.refunded for attempt in self.attempts)
        assert sum(by_run.values()) == self.books.charged_total() + later, f"charged by run: {by_run}"
        for run, charged in by_run.items():
            table = self.folder / "runs" / run / "cost.csv"
            assert not table.exists() or charged_millionths(table) == charged

    @property
    def questions(self) -> Counter[str]:
        """How many attempts wait for a person, by why."""
        return Counter(
            "unwitnessed"
            if attempt.state is AttemptState.UNKNOWN
            else "lost too often"
            if "lost again" in (attempt.held_reason or "")
            else "other"
            for attempt in self.attempts
            if attempt.state in {AttemptState.UNKNOWN, AttemptState.HELD}
        )

    def check_held(self) -> None:
        """What is not done waits for a person: no more predictions are unknown than attempts wait."""
        held = [a for a in self.attempts if a.state in {AttemptState.HELD, AttemptState.UNKNOWN}]
        known = {attempt.prediction_id for attempt in self.attempts}
        orphans = [p.id for p in self.books.predictions() if p.id not in known]
        assert held, "exit 5, and nothing is held"
        assert len(orphans) <= len(held), f"{len(orphans)} orphans, {len(held)} held"

    def check_nothing_twice(self, undisturbed: Result) -> None:
        """Where a person has to look: nothing is billed twice, and nobody's prediction was given to another."""
        found = self.result()
        for piece, count in found.made.items():
            assert count <= undisturbed.made[piece], f"{piece} was made {count} times"
        for place, sha256 in found.assets.items():
            assert undisturbed.assets[place] == sha256, f"{place} is another piece's"

    def tally(self, undisturbed: Result, *, asked: bool) -> Tally:
        """The invariants as counts; where a person has to look, what is not there yet is not lost."""
        found, questions = self.result(), self.questions
        known = {attempt.prediction_id for attempt in self.attempts}
        orphans = sum(1 for prediction in self.books.predictions() if prediction.id not in known)
        return Tally(
            schedules=1,
            lost_replies=lost_replies(self.books),
            other_faults=other_faults(self.books),
            accepted=len(self.books.predictions()),
            held=int(asked and bool(questions["other"])),
            unwitnessed=int(asked and not questions["other"] and bool(questions["unwitnessed"])),
            lost_too_often=int(asked and set(questions) == {"lost too often"}),
            duplicates=sum(max(0, count - undisturbed.made[piece]) for piece, count in found.made.items()),
            orphans=0 if asked else orphans,
            lost=0
            if asked
            else sum(found.assets.get(place) != sha for place, sha in undisturbed.assets.items()),
            over_budget=len(self.over_budget()),
        )

    def check_budgets(self) -> None:
        """No run spent more than it might, and one that was charged more says that it was spent before."""
        assert not self.over_budget(), f"{self.over_budget()} went over their budgets"
        for run in self.runs:
            if run.budget is None or run.id not in self.records:
                continue
            record = self.records[run.id]
            charged = sum(stage.charged for stage in record.stages)
            # Settled by a run that did not end, and accounted for in this one.
            inherited = sum(
                attempt.charged or 0
                for attempt in self.attempts
                if attempt.settled_run_id == run.id != attempt.run_id
            )
            assert charged - inherited <= run.budget, f"{run.id} is charged more than it may spend"
            if charged > run.budget:
                assert any("a run which did not end has paid for" in note for note in record.notes), (
                    f"{run.id} is charged more than its budget, and does not say why"
                )

    def over_budget(self) -> list[str]:
        """The runs that spent more than their cap, by the service's books: on what they sent, or went on with.

        What a run that did not end had settled stays that run's, whichever accounts for it.
        """
        net: dict[str, int] = defaultdict(int)
        for charge in self.books.charges():
            if charge.prediction_id is not None:
                net[charge.prediction_id] += charge.amount if charge.kind == "deduct" else -charge.amount
        by_run: Counter[str] = Counter()
        for attempt in self.attempts:
            by_run[attempt.run_id] += net.get(attempt.prediction_id or "", 0)
        return [run.id for run in self.runs if run.budget is not None and by_run[run.id] > run.budget]
