"""What is worth showing of the comparison with an earlier run: what went in or came out otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.provenance.comparison import AssetChange, BriefDifference, Comparison, StageDifference

# More than these are counted, not shown: `campaign diff` lists them all.
MOST_SHOWN = 60


@dataclass(frozen=True)
class Changes:
    shown: tuple[BriefDifference, ...]
    left_out: int
    cost_only: int  # the same in everything but cost and outcome, such as what is cached by now


def changes_of(comparison: Comparison) -> Changes:
    of_substance = [
        brief for brief in comparison.briefs if brief.change != "same" and _is_of_substance(brief)
    ]
    changed = sum(brief.change != "same" for brief in comparison.briefs)
    return Changes(
        tuple(of_substance[:MOST_SHOWN]),
        max(0, len(of_substance) - MOST_SHOWN),
        changed - len(of_substance),
    )


def pictures_to_compare(comparison: Comparison) -> Iterator[tuple[str, bool]]:
    """The sha256 of each picture shown side by side, and whether it is a clip's."""
    for brief in changes_of(comparison).shown:
        for stage in brief.stages:
            for change in stage.assets:
                for sha256 in (change.sha256.a, change.sha256.b):
                    if sha256 is not None:
                        yield sha256, is_clip(change)


def is_clip(change: AssetChange) -> bool:
    return change.place.rpartition("/")[2].startswith("video-")


def stage_is_of_substance(stage: StageDifference) -> bool:
    return bool(stage.prompt or stage.parameters or stage.inputs or stage.assets or stage.error.differ)


def _is_of_substance(brief: BriefDifference) -> bool:
    return brief.change in {"added", "removed"} or bool(
        brief.status.differ or brief.take.differ or any(map(stage_is_of_substance, brief.stages))
    )
