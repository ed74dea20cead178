"""One brief: up to three stages chained by their pictures, and which pictures go on from stage to stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.briefs.prompt_references import number_notes
from tasks.briefs.prompt_words import misread_notes
from tasks.models import ComposeRequest, EditRequest, Stage, VideoRequest

_MADE_BY = {Stage.EDIT: "edited", Stage.COMPOSE: "composed"}
_GOES_TO = {Stage.COMPOSE: "the composition", Stage.VIDEO: "the video"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EditPart(_Part):
    """``image`` is the source as the CSV has it: a path relative to the CSV, or an https URL."""

    request: EditRequest
    image: str


class ComposePart(_Part):
    """``images`` are the sources named in the CSV; the edited pictures come before them."""

    request: ComposeRequest
    images: tuple[str, ...]


class VideoPart(_Part):
    """``images`` are the sources named in the CSV; the composed (or edited) pictures come before them."""

    request: VideoRequest
    clip: str
    images: tuple[str, ...]


class Brief(_Part):
    """One row of the campaign, or one of the variants that a row makes.

    ``row`` is the row as read, by column: all variants of a row have the same. ``line`` is where it starts.
    """

    brief: str
    line: int
    row: Mapping[str, str]
    take: int
    edit: EditPart | None
    compose: ComposePart | None
    video: VideoPart | None

    @property
    def written(self) -> str:
        """The id in the row: without what tells its variants apart."""
        return self.row["brief"].strip()

    @property
    def parts(self) -> tuple[EditPart | ComposePart | VideoPart, ...]:
        """The stages that the brief has, in the order in which they run."""
        return tuple(part for part in (self.edit, self.compose, self.video) if part is not None)


class Campaign(_Part):
    """A campaign file without a fault. ``columns`` are those that it reads, in the file's order."""

    name: str
    path: Path
    sha256: str
    columns: tuple[str, ...]
    briefs: tuple[Brief, ...]


@dataclass(frozen=True)
class StageReferences:
    """The pictures one stage is given: the first ``carried`` of the stage before, then the ``named`` ones."""

    named: int
    upstream: Stage | None = None
    available: int = 0  # pictures that the stage before makes
    carried: int = 0

    @property
    def left_out(self) -> int:
        return self.available - self.carried

    @property
    def total(self) -> int:
        return self.carried + self.named


@dataclass(frozen=True)
class References:
    """By stage that the brief has; ``notes`` are sentences for the plan."""

    stages: Mapping[Stage, StageReferences]
    notes: tuple[str, ...]


def stage_references(
    most: int, named: int, upstream: Stage | None = None, available: int = 0
) -> StageReferences:
    """``most`` is how many pictures the stage takes; the named ones have their places before any other."""
    room = max(most - named, 0)
    return StageReferences(named=named, upstream=upstream, available=available, carried=min(available, room))


def references_of(brief: Brief) -> References:
    """Which pictures each stage of the brief is given, and what the plan should say about it."""
    stages: dict[Stage, StageReferences] = {}
    notes: list[str] = []
    upstream: Stage | None = None
    available = 0
    for part in brief.parts:
        stage, most = part.request.stage, part.request.max_references
        if isinstance(part, EditPart):
            references = stage_references(most, named=1)
        else:
            references = stage_references(most, len(part.images), upstream, available)
        stages[stage] = references
        notes += _left_out_note(stage, references)
        notes += number_notes(stage, part.request.prompt, references.total)
        notes += misread_notes(stage, part.request.prompt)
        if not isinstance(part, VideoPart):
            upstream, available = stage, part.request.num_images
    return References(stages=stages, notes=tuple(notes))


def _left_out_note(stage: Stage, references: StageReferences) -> list[str]:
    if references.upstream is None or not references.left_out:
        return []
    beside = f" beside the {references.named} named" if references.named else ""
    note = (
        f"{references.carried} of {references.available} {_MADE_BY[references.upstream]} pictures go on to "
        f"{_GOES_TO[stage]}, the first that fit{beside}; {references.left_out} left out"
    )
    return [note]
