"""What changed between two runs, from their records alone.

Amounts are integers of a millionth of a dollar, seconds are wall clock. Only what went in and came out counts as a
change; how long it took is said beside it, since it is never the same twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath
from statistics import fmean
from typing import Generic, Literal, TypeVar

from tasks.provenance.word_difference import Piece, word_difference
from tasks.record import BriefRecord, InputRecord, RunRecord, StageRecord

STAGES = ("edit", "compose", "video")
Change = Literal["added", "removed", "changed", "same"]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Pair(Generic[_Value]):
    """The same thing in both runs; None where a run does not have it."""

    a: _Value | None
    b: _Value | None

    @property
    def differ(self) -> bool:
        return self.a != self.b


@dataclass(frozen=True)
class Amounts:
    """Millionths of a dollar; 0 where a run does not have the stage."""

    a: int
    b: int

    @property
    def delta(self) -> int:
        return self.b - self.a


@dataclass(frozen=True)
class InputChange:
    """``position`` counts from 1 within the role, in the order sent."""

    role: str
    position: int
    inputs: Pair[InputRecord]


@dataclass(frozen=True)
class AssetChange:
    """``place`` is that in the run's folder, of the later run where both have it."""

    place: str
    sha256: Pair[str]


@dataclass(frozen=True)
class StageDifference:
    stage: str
    records: Pair[StageRecord]
    prompt: tuple[Piece, ...]  # empty where it is the same
    parameters: Mapping[str, Pair[object]]
    inputs: tuple[InputChange, ...]
    assets: tuple[AssetChange, ...]
    outcome: Pair[str]
    error: Pair[str]
    charged: Amounts
    estimated: Amounts
    total_s: Pair[float]  # None where no work was finished, as of what was cached or failed

    @property
    def changed(self) -> bool:
        return bool(
            self.prompt
            or self.parameters
            or self.inputs
            or self.assets
            or self.outcome.differ
            or self.error.differ
            or self.charged.delta
            or self.estimated.delta
        )


@dataclass(frozen=True)
class BriefDifference:
    brief: str
    change: Change
    status: Pair[str]
    take: Pair[str]
    stages: tuple[StageDifference, ...]

    @property
    def charged(self) -> Amounts:
        return Amounts(sum(s.charged.a for s in self.stages), sum(s.charged.b for s in self.stages))

    @property
    def estimated(self) -> Amounts:
        return Amounts(sum(s.estimated.a for s in self.stages), sum(s.estimated.b for s in self.stages))


@dataclass(frozen=True)
class Comparison:
    a: RunRecord
    b: RunRecord
    briefs: tuple[BriefDifference, ...]  # in the later run's order, those that it lacks at the end

    def count(self, change: Change) -> int:
        return sum(brief.change == change for brief in self.briefs)

    def total(self, amount: Callable[[StageRecord], int]) -> Amounts:
        return Amounts(sum(map(amount, self.a.stages)), sum(map(amount, self.b.stages)))

    @property
    def mean_total_s(self) -> Mapping[str, Pair[float]]:
        """By stage, over those whose work was finished; stages of which no run has a time are left out."""
        means = {stage: Pair(_mean(self.a, stage), _mean(self.b, stage)) for stage in STAGES}
        return {stage: pair for stage, pair in means.items() if pair.a is not None or pair.b is not None}


def compare(a: RunRecord, b: RunRecord) -> Comparison:
    """What changed from ``a`` to ``b``. Briefs are the same where their ids are."""
    before = {brief.brief: brief for brief in a.briefs}
    after = {brief.brief: brief for brief in b.briefs}
    names = [*after, *(name for name in before if name not in after)]
    return Comparison(a, b, tuple(_compare_briefs(name, before.get(name), after.get(name)) for name in names))


def _compare_briefs(name: str, a: BriefRecord | None, b: BriefRecord | None) -> BriefDifference:
    stages_a = {stage.stage: stage for stage in a.stages} if a else {}
    stages_b = {stage.stage: stage for stage in b.stages} if b else {}
    stages = tuple(
        _compare_stages(stage, stages_a.get(stage), stages_b.get(stage))
        for stage in STAGES
        if stage in stages_a or stage in stages_b
    )
    status = Pair(a.status if a else None, b.status if b else None)
    take = Pair(_take(a), _take(b))
    if a is None or b is None:
        change: Change = "removed" if b is None else "added"
    else:
        same = not (status.differ or take.differ or any(stage.changed for stage in stages))
        change = "same" if same else "changed"
    return BriefDifference(name, change, status, take, stages)


def _take(brief: BriefRecord | None) -> str | None:
    return None if brief is None else brief.row.get("take", "").strip() or "1"


def _compare_stages(name: str, a: StageRecord | None, b: StageRecord | None) -> StageDifference:
    words = a.prompt if a else "", b.prompt if b else ""
    return StageDifference(
        stage=name,
        records=Pair(a, b),
        prompt=word_difference(*words) if words[0] != words[1] else (),
        parameters=dict(_parameter_changes(a, b)),
        inputs=tuple(_input_changes(a, b)),
        assets=tuple(_asset_changes(a, b)),
        outcome=Pair(a.outcome.value if a else None, b.outcome.value if b else None),
        error=Pair(a.error if a else None, b.error if b else None),
        charged=Amounts(a.charged if a else 0, b.charged if b else 0),
        estimated=Amounts(a.estimated if a else 0, b.estimated if b else 0),
        total_s=Pair(a.working_seconds if a else None, b.working_seconds if b else None),
    )


def _parameter_changes(a: StageRecord | None, b: StageRecord | None) -> Iterator[tuple[str, Pair[object]]]:
    before, after = _parameters(a), _parameters(b)
    for name in dict.fromkeys([*before, *after]):
        pair: Pair[object] = Pair(before.get(name), after.get(name))
        if pair.differ:
            yield name, pair


def _parameters(stage: StageRecord | None) -> dict[str, object]:
    """The prompt aside, which is compared word by word."""
    if stage is None:
        return {}
    sent = {name: value for name, value in stage.request.items() if name != "prompt"}
    return {"model": stage.model, **sent}


def _input_changes(a: StageRecord | None, b: StageRecord | None) -> Iterator[InputChange]:
    """By the bytes: a renamed file with the same bytes is no change."""
    for role in ("image", "images", "video"):
        before, after = _of_role(a, role), _of_role(b, role)
        for position, (one, other) in enumerate(zip_longest(before, after), start=1):
            if one is None or other is None or one.sha256 != other.sha256:
                yield InputChange(role, position, Pair(one, other))


def _of_role(stage: StageRecord | None, role: str) -> Sequence[InputRecord]:
    return [item for item in stage.inputs if item.role == role] if stage else []


def _asset_changes(a: StageRecord | None, b: StageRecord | None) -> Iterator[AssetChange]:
    """A picture in another format has another ending, and is at the same place all the same."""
    before, after = _assets(a), _assets(b)
    for place in dict.fromkeys([*before, *after]):
        one, other = before.get(place), after.get(place)
        if one is None or other is None or one[1] != other[1]:
            path = (other or one or ("",))[0]
            yield AssetChange(path, Pair(one[1] if one else None, other[1] if other else None))


def _assets(stage: StageRecord | None) -> dict[str, tuple[str, str]]:
    if stage is None:
        return {}
    return {str(PurePosixPath(item.path).with_suffix("")): (item.path, item.sha256) for item in stage.assets}


def _mean(record: RunRecord, stage: str) -> float | None:
    of_stage = (s.working_seconds for s in record.stages if s.stage == stage)
    seconds = [taken for taken in of_stage if taken is not None]
    return fmean(seconds) if seconds else None
