"""One row of the CSV to one brief, or to every problem the row has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from blocks.errors import Problem
from tasks import cells
from tasks.brief import Brief, ComposePart, EditPart, VideoPart, stage_references
from tasks.campaign_file import Record, shown_value
from tasks.models import (
    ASPECT_RATIOS,
    COMPOSE_ASPECT_RATIOS,
    COMPOSE_RESOLUTIONS,
    EDIT_RESOLUTIONS,
    FEWEST_IMAGES,
    LONGEST_PROMPT,
    MOST_IMAGES,
    OUTPUT_FORMATS,
    ComposeRequest,
    EditRequest,
    Stage,
    VideoRequest,
)
from tasks.prompt_references import tag_problems

Kind = Literal["picture", "clip"]
_Value = TypeVar("_Value")

_PROMPTS = {stage: f"{stage}_prompt" for stage in Stage}
_STAGE_COLUMNS: dict[Stage, tuple[str, ...]] = {
    Stage.EDIT: (
        "edit_image",
        "edit_aspect_ratio",
        "edit_resolution",
        "edit_num_images",
        "edit_output_format",
    ),
    Stage.COMPOSE: (
        "compose_images",
        "compose_aspect_ratio",
        "compose_resolution",
        "compose_num_images",
        "compose_output_format",
    ),
    Stage.VIDEO: ("video", "video_images", "video_keep_original_sound"),
}
COLUMNS: tuple[str, ...] = (
    "brief",
    *(column for stage in Stage for column in (_PROMPTS[stage], *_STAGE_COLUMNS[stage])),
    "take",
)


@dataclass(frozen=True)
class NamedSource:
    """A picture or clip as one cell names it: a path relative to the CSV, or a URL."""

    line: int
    column: str
    source: str
    kind: Kind


class RowReader:
    """Reads rows one after the other; faults gather in ``problems``, every named file in ``sources``.

    Files are gathered from faulty rows too, so that their own faults are told in the same go.
    """

    def __init__(self, shown: str) -> None:
        self.problems: list[Problem] = []
        self.sources: list[NamedSource] = []
        self._shown = shown
        self._lines_by_id: dict[str, int] = {}

    def read(self, record: Record) -> Brief | None:
        """The brief, or None where the row has a problem."""
        row = _Row(record)
        name = row.value("brief", cells.brief_id, required=True)
        if name:
            first = self._lines_by_id.setdefault(name.lower(), record.line)
            if first != record.line:
                message = (
                    f"{shown_value(name)} is already on line {first}; ids are unique, regardless of case"
                )
                row.problem("brief", message)
        take = row.value("take", lambda cell: cells.whole_number(cell, 1))
        has_prompt = any(row.cell(column) for column in _PROMPTS.values())
        if not has_prompt:
            row.problem(
                "edit_prompt", f"no prompt in the row; fill at least one of {', '.join(_PROMPTS.values())}"
            )
        chain = _Chain()
        parts: dict[str, EditPart | ComposePart | VideoPart | None] = {}
        for stage, read in _STAGE_READERS.items():
            if row.cell(_PROMPTS[stage]):
                parts[stage.value] = read(row, chain)
            else:
                parts[stage.value] = None
        self.sources += row.sources
        self.problems += [Problem(self._shown, record.line, *problem) for problem in row.problems]
        if row.problems:
            return None
        return Brief.model_validate(
            {"brief": name, "line": record.line, "row": record.cells, "take": take or 1, **parts}
        )


class _Row:
    """One record while it is read: its faults, as (column, message), and the files it names."""

    def __init__(self, record: Record) -> None:
        self.problems: list[tuple[str, str]] = []
        self.sources: list[NamedSource] = []
        self._record = record

    def cell(self, column: str) -> str:
        return self._record.cells.get(column, "").strip()

    def problem(self, column: str, message: str) -> None:
        self.problems.append((column, message))

    def is_faulty(self, column: str) -> bool:
        return any(column == faulty for faulty, _ in self.problems)

    def value(self, column: str, read: Callable[[str], _Value], *, required: bool = False) -> _Value | None:
        """The cell's value; None where it is blank (unless a value is required) or faulty."""
        cell = self.cell(column)
        if not cell and not required:
            return None
        try:
            return read(cell)
        except cells.CellError as error:
            self.problem(column, str(error))
            return None

    def named(self, column: str, most: int, kind: Kind = "picture") -> tuple[str, ...]:
        found = self.value(column, lambda cell: cells.sources(cell, most)) or ()
        self.sources += [NamedSource(self._record.line, column, source, kind) for source in found]
        return found


@dataclass
class _Chain:
    """The stage before, and how many pictures it makes; None where its row is faulty and that is unknown."""

    upstream: Stage | None = None
    available: int | None = 0


def _edit(row: _Row, chain: _Chain) -> EditPart | None:
    named = row.named("edit_image", EditRequest.max_references)
    if not named and not row.is_faulty("edit_image"):
        row.problem("edit_image", "blank; the edit needs the picture that it changes: a path or an https URL")
    parameters = _picture_parameters(row, Stage.EDIT, ASPECT_RATIOS, EDIT_RESOLUTIONS)
    _check_tags(row, Stage.EDIT, EditRequest.max_references)
    _hand_on(row, chain, Stage.EDIT, parameters)
    return None if row.problems else EditPart(request=EditRequest(**parameters), image=named[0])


def _compose(row: _Row, chain: _Chain) -> ComposePart | None:
    named = row.named("compose_images", ComposeRequest.max_references)
    if not named and chain.upstream is None and not row.is_faulty("compose_images"):
        row.problem("compose_images", "blank; composing without an edit stage needs pictures: a.png|b.png")
    parameters = _picture_parameters(row, Stage.COMPOSE, COMPOSE_ASPECT_RATIOS, COMPOSE_RESOLUTIONS)
    _check_chain(row, chain, ComposeRequest, "compose_images", len(named))
    _hand_on(row, chain, Stage.COMPOSE, parameters)
    return None if row.problems else ComposePart(request=ComposeRequest(**parameters), images=named)


def _video(row: _Row, chain: _Chain) -> VideoPart | None:
    clip = row.named("video", 1, "clip")
    if not clip and not row.is_faulty("video"):
        row.problem("video", "blank; the video edit needs the clip that it changes: a path or an https URL")
    named = row.named("video_images", VideoRequest.max_references)
    parameters = _given(
        prompt=_prompt(row, Stage.VIDEO),
        keep_original_sound=row.value("video_keep_original_sound", cells.boolean),
    )
    _check_chain(row, chain, VideoRequest, "video_images", len(named))
    return None if row.problems else VideoPart(request=VideoRequest(**parameters), clip=clip[0], images=named)


_STAGE_READERS: Mapping[Stage, Callable[[_Row, _Chain], EditPart | ComposePart | VideoPart | None]] = {
    Stage.EDIT: _edit,
    Stage.COMPOSE: _compose,
    Stage.VIDEO: _video,
}


def _picture_parameters(
    row: _Row, stage: Stage, ratios: Sequence[str], resolutions: Sequence[str]
) -> dict[str, Any]:
    return _given(
        prompt=_prompt(row, stage),
        aspect_ratio=row.value(f"{stage}_aspect_ratio", lambda cell: cells.choice(cell, ratios)),
        resolution=row.value(f"{stage}_resolution", lambda cell: cells.choice(cell, resolutions)),
        num_images=row.value(
            f"{stage}_num_images", lambda cell: cells.whole_number(cell, FEWEST_IMAGES, MOST_IMAGES)
        ),
        output_format=row.value(f"{stage}_output_format", lambda cell: cells.choice(cell, OUTPUT_FORMATS)),
    )


def _prompt(row: _Row, stage: Stage) -> str | None:
    return row.value(_PROMPTS[stage], lambda cell: cells.prompt(cell, LONGEST_PROMPT))


def _given(**values: Any) -> dict[str, Any]:
    """Without the blank ones: the requests know their defaults."""
    return {name: value for name, value in values.items() if value is not None}


def _hand_on(row: _Row, chain: _Chain, stage: Stage, parameters: dict[str, Any]) -> None:
    chain.upstream = stage
    faulty = row.is_faulty(f"{stage}_num_images")
    chain.available = None if faulty else parameters.get("num_images", FEWEST_IMAGES)


def _check_chain(
    row: _Row, chain: _Chain, model: type[ComposeRequest | VideoRequest], column: str, named: int
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


def _check_tags(row: _Row, stage: Stage, references: int) -> None:
    for message in tag_problems(row.cell(_PROMPTS[stage]), references):
        row.problem(_PROMPTS[stage], message)
