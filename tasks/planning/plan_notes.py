"""What a plan points out beside its numbers: nothing that is wrong, but what is worth knowing before it is paid for."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction

from blocks.media import ClipFacts, PictureFacts
from blocks.money import dollars_text
from tasks.briefs.brief import Brief, Campaign, ComposePart, EditPart, VideoPart, references_of
from tasks.briefs.inputs import Inputs, named
from tasks.briefs.matrix import expansion_notes
from tasks.models import Stage
from tasks.planning.plan import PlannedStage
from tasks.planning.plan_reasons import stage_words

_MOST_NAMED = 3
_TAG = re.compile(r"@image([0-9]+)", re.IGNORECASE)
# The models' own sizes are a little off their ratios: 1360x768 counts as 16:9.
_SAME_RATIO = Fraction(5, 100)

# What a stage is given when it is meant to run.
_MEDIA = {
    Stage.EDIT: ("edit_image",),
    Stage.COMPOSE: ("compose_images",),
    Stage.VIDEO: ("video", "video_images"),
}


def notes_of(campaign: Campaign, inputs: Inputs, stages: Sequence[PlannedStage]) -> tuple[str, ...]:
    """One sentence a note; briefs of which the same is to be said share one."""
    by_brief: dict[str, list[str]] = defaultdict(list)
    for brief in campaign.briefs:
        notes = by_brief[brief.brief]
        notes += references_of(brief).notes
        notes += _unused_references(brief)
        notes += _ratios(brief, inputs)
        notes += _skipped(brief)
    for stage in stages:
        if stage.to_pay and stage.list_cost_upper > stage.list_cost:
            by_brief[stage.brief].append(
                f"{format(stage.quantity.normalize(), 'f')} billed seconds; "
                f"${dollars_text(stage.list_cost_upper)} should the service round them up"
            )
    return (*expansion_notes(campaign), *_together(by_brief), *_equal_work(stages), *inputs.notes)


def paid_before_note(amount: int) -> str:
    """The same words before a run and after it, so that who reads both sees one thing."""
    return (
        f"${dollars_text(amount)} that a run which did not end has paid for is accounted for in this run; it was spent "
        "before, and counts against no budget of this one"
    )


def _together(by_brief: dict[str, list[str]]) -> Iterator[str]:
    briefs_of: dict[str, list[str]] = defaultdict(list)
    for brief, notes in by_brief.items():
        for note in dict.fromkeys(notes):
            briefs_of[note].append(brief)
    for note, briefs in briefs_of.items():
        yield f"{names(briefs)}: {note}"


def names(briefs: Sequence[str]) -> str:
    """``a``, ``a, b``, ``a, b, c and 997 more``."""
    shown = ", ".join(briefs[:_MOST_NAMED])
    return shown if len(briefs) <= _MOST_NAMED else f"{shown} and {len(briefs) - _MOST_NAMED} more"


def _equal_work(stages: Sequence[PlannedStage]) -> Iterator[str]:
    """Briefs that are the same work as an earlier one, wholly or up to some stage: paid for once."""
    shared: dict[tuple[str, str], list[Stage]] = defaultdict(list)
    for stage in stages:
        if stage.equal_to is not None:
            shared[stage.brief, stage.equal_to].append(stage.stage)
    groups: dict[tuple[str, tuple[Stage, ...]], list[str]] = defaultdict(list)
    for (brief, first), equal in shared.items():
        groups[first, tuple(equal)].append(brief)
    for (first, same), briefs in groups.items():
        yield f"{names(briefs)}: {stage_words(same)} equal to that of {first}, paid once"


def _unused_references(brief: Brief) -> Iterator[str]:
    """Where a prompt names some of its references by tag, the others are most likely forgotten."""
    for part in brief.parts:
        if isinstance(part, EditPart):
            continue
        stage = part.request.stage
        references = references_of(brief).stages[stage]
        tagged = {int(number) for number in _TAG.findall(part.request.prompt)}
        unused = [number for number in range(1, references.total + 1) if number not in tagged]
        if not tagged or not unused:
            continue
        told = []
        for number in unused:
            place = number - references.carried - 1
            told.append(f"@Image{number}" + (f" ({part.images[place]})" if place >= 0 else ""))
        yield f"the {stage} prompt does not name {', '.join(told)}, which the model is given all the same"


def _ratios(brief: Brief, inputs: Inputs) -> Iterator[str]:
    """Where pictures of one shape go into something of another, which crops or pads them."""
    pictures: str | None = None  # the shape of the pictures that the stage before makes
    maker = ""
    for part in brief.parts:
        if isinstance(part, EditPart):
            shape: str = part.request.aspect_ratio
            facts = inputs[part.image].facts
            if isinstance(facts, PictureFacts) and _differ(
                Fraction(facts.width, facts.height), _ratio(shape)
            ):
                yield (
                    f"{named(part.image)} is {facts.width}x{facts.height}, and edit_aspect_ratio is {shape}: the edit "
                    "reframes it"
                )
            pictures, maker = shape, "edited"
        elif isinstance(part, ComposePart):
            shape = part.request.aspect_ratio
            if shape != "auto" and pictures is not None and _differ(_ratio(pictures), _ratio(shape)):
                yield f"the edited pictures are {pictures}, and compose_aspect_ratio is {shape}"
            # What `auto` becomes, the service decides.
            pictures, maker = (None if shape == "auto" else shape), "composed"
        elif isinstance(part, VideoPart):
            clip = inputs[part.clip].facts
            assert isinstance(clip, ClipFacts)  # the inputs were checked against the columns that name them
            if pictures is not None and _differ(Fraction(clip.width, clip.height), _ratio(pictures)):
                yield f"the {maker} pictures are {pictures}, and {named(part.clip)} is {clip.width}x{clip.height}"


def _ratio(text: str) -> Fraction:
    width, _, height = text.partition(":")
    return Fraction(int(width), int(height))


def _differ(one: Fraction, other: Fraction) -> bool:
    return abs(one / other - 1) > _SAME_RATIO


def _skipped(brief: Brief) -> Iterator[str]:
    """A blank prompt skips its stage, also where its pictures are named: most likely on purpose, so only a note."""
    present = {part.request.stage for part in brief.parts}
    for stage, columns in _MEDIA.items():
        for column in columns:
            if stage not in present and brief.row.get(column, "").strip():
                yield f"{column} is given, but {stage}_prompt is blank: the {stage} stage is skipped"
