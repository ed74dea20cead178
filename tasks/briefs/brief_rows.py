"""One row of the CSV to its brief, or its variants, or to every problem the row has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.errors import Problem
from tasks.briefs import cells
from tasks.briefs.brief import Brief, ComposePart, EditPart, VideoPart, stage_references
from tasks.briefs.brief_columns import PROMPTS
from tasks.briefs.brief_row import NamedSource, Row
from tasks.briefs.campaign_file import Record, shown_value
from tasks.briefs.campaign_text import MOST_ROWS
from tasks.briefs.matrix import expand
from tasks.briefs.prompt_references import tag_problems
from tasks.briefs.prompt_words import NOTHING_SEEN
from tasks.models import (
    ASPECT_RATIOS,
    COMPOSE_ASPECT_RATIOS,
    COMPOSE_RESOLUTIONS,
    EDIT_RESOLUTIONS,
    FEWEST_IMAGES,
    MOST_IMAGES,
    OUTPUT_FORMATS,
    ComposeRequest,
    EditRequest,
    Stage,
    VideoRequest,
)


class RowReader:
    """Reads rows one after the other; faults gather in ``problems``, every named file in ``sources``.

    Files are gathered from faulty rows too, so that their own faults are told in the same go. ``used_columns`` are
    those that prompts are filled from.
    """

    def __init__(self, shown: str) -> None:
        self.problems: list[Problem] = []
        self.sources: list[NamedSource] = []
        self.used_columns: set[str] = set()
        self._shown = shown
        self._lines_by_id: dict[str, int] = {}
        self._briefs = 0

    def read(self, record: Record) -> list[Brief]:
        """The row's brief, or its variants; none where the row has a problem."""
        expansion = expand(record.cells)
        problems = list(expansion.problems)
        briefs = []
        self._briefs += len(expansion.variants)
        if self._briefs - len(expansion.variants) <= MOST_ROWS < self._briefs:
            message = f"with this row's variants more than {MOST_ROWS:,} briefs; split the campaign into several files"
            problems.append(("brief", message))
        for number, variant in enumerate(expansion.variants if self._briefs <= MOST_ROWS else ()):
            row = Row(record, variant.cells)
            brief = self._read(row, record, variant.ending)
            briefs.append(brief)
            self.used_columns |= row.used_columns
            if number == 0:
                self.sources += row.sources  # the other variants name the same
            # A cell is told about once, whatever each of the variants would say about it.
            told = {column for column, _ in problems}
            problems += [problem for problem in row.problems if problem[0] not in told]
        self.problems += [Problem(self._shown, record.line, *problem) for problem in problems]
        return [] if problems else [brief for brief in briefs if brief is not None]

    def _read(self, row: Row, record: Record, ending: str) -> Brief | None:
        name = row.value("brief", cells.brief_id, required=True)
        if name:
            first = self._lines_by_id.setdefault(name.lower(), record.line)
            if first != record.line:
                message = (
                    f"{shown_value(name)} is already on line {first}; ids are unique, regardless of case"
                )
                row.problem("brief", message)
        take = row.value("take", lambda cell: cells.whole_number(cell, 1))
        has_prompt = any(row.cell(column) for column in PROMPTS.values())
        if not has_prompt:
            row.problem(
                "edit_prompt", f"no prompt in the row; fill at least one of {', '.join(PROMPTS.values())}"
            )
        chain = _Chain()
        parts: dict[str, EditPart | ComposePart | VideoPart | None] = {}
        for stage, read in _STAGE_READERS.items():
            if row.cell(PROMPTS[stage]):
                parts[stage.value] = read(row, chain)
            else:
                parts[stage.value] = None
                if row.looks_blank(PROMPTS[stage]):
                    row.problem(
                        PROMPTS[stage],
                        f"{NOTHING_SEEN}; clear the cell to skip the stage, or write the prompt",
                    )
        if row.problems:
            return None
        identity = {"brief": f"{name}{ending}", "line": record.line, "row": record.cells}
        return Brief.model_validate({**identity, "take": take or 1, **parts})


@dataclass
class _Chain:
    """The stage before, and how many pictures it makes; None where its row is faulty and that is unknown."""

    upstream: Stage | None = None
    available: int | None = 0


def _edit(row: Row, chain: _Chain) -> EditPart | None:
    named = row.named("edit_image", EditRequest.max_references)
    if not named and not row.is_faulty("edit_image"):
        row.problem("edit_image", "blank; the edit needs the picture that it changes: a path or an https URL")
    parameters = _picture_parameters(row, Stage.EDIT, ASPECT_RATIOS, EDIT_RESOLUTIONS)
    _check_tags(row, Stage.EDIT, EditRequest.max_references)
    _hand_on(row, chain, Stage.EDIT, parameters)
    return None if row.problems else EditPart(request=EditRequest(**parameters), image=named[0])


def _compose(row: Row, chain: _Chain) -> ComposePart | None:
    named = row.named("compose_images", ComposeRequest.max_references)
    if not named and chain.upstream is None and not row.is_faulty("compose_images"):
        row.problem("compose_images", "blank; composing without an edit stage needs pictures: a.png|b.png")
    parameters = _picture_parameters(row, Stage.COMPOSE, COMPOSE_ASPECT_RATIOS, COMPOSE_RESOLUTIONS)
    _check_chain(row, chain, ComposeRequest, "compose_images", len(named))
    _hand_on(row, chain, Stage.COMPOSE, parameters)
    return None if row.problems else ComposePart(request=ComposeRequest(**parameters), images=named)


def _video(row: Row, chain: _Chain) -> VideoPart | None:
    clip = row.named("video", 1, "clip")
    if not clip and not row.is_faulty("video"):
        row.problem("video", "blank; the video edit needs the clip that it changes: a path or an https URL")
    named = row.named("video_images", VideoRequest.max_references)
    parameters = _given(
        prompt=row.prompt(PROMPTS[Stage.VIDEO]),
        keep_original_sound=row.value("video_keep_original_sound", cells.boolean),
    )
    _check_chain(row, chain, VideoRequest, "video_images", len(named))
    return None if row.problems else VideoPart(request=VideoRequest(**parameters), clip=clip[0], images=named)


_STAGE_READERS: Mapping[Stage, Callable[[Row, _Chain], EditPart | ComposePart | VideoPart | None]] = {
    Stage.EDIT: _edit,
    Stage.COMPOSE: _compose,
    Stage.VIDEO: _video,
}


def _picture_parameters(
    row: Row, stage: Stage, ratios: Sequence[str], resolutions: Sequence[str]
) -> dict[str, Any]:
    return _given(
        prompt=row.prompt(PROMPTS[stage]),
        aspect_ratio=row.value(f"{stage}_aspect_ratio", lambda cell: cells.choice(cell, ratios)),
        resolution=row.value(f"{stage}_resolution", lambda cell: cells.choice(cell, resolutions)),
        num_images=row.value(
            f"{stage}_num_images", lambda cell: cells.whole_number(cell, FEWEST_IMAGES, MOST_IMAGES)
        ),
        output_format=row.value(f"{stage}_output_format", lambda cell: cells.choice(cell, OUTPUT_FORMATS)),
    )


def _given(**values: Any) -> dict[str, Any]:
    """Without the blank ones: the requests know their defaults."""
    return {name: value for name, value in values.items() if value is not None}


def _hand_on(row: Row, chain: _Chain, stage: Stage, parameters: dict[str, Any]) -> None:
    chain.upstream = stage
    faulty = row.is_faulty(f"{stage}_num_images")
    chain.available = None if faulty else parameters.get("num_images", FEWEST_IMAGES)


def _check_chain(
    row: Row, chain: _Chain, model: type[ComposeRequest | VideoRequest], column: str, named: int
) -> None:
    if chain.available is None or row.is_faulty(column):
        return
    references = stage_references(model.max_references, named, chain.upstream, chain.available)
    if references.available and not references.carried:
        row.problem(
            column,
            f"{named} named references leave no place for the pictures of the {chain.upstream} stage; "
            f"name {model.max_references - 1} at most",
        )
    _check_tags(row, model.stage, references.total)


def _check_tags(row: Row, stage: Stage, references: int) -> None:
    for message in tag_problems(row.filled(PROMPTS[stage]), references):
        row.problem(PROMPTS[stage], message)
