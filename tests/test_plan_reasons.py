"""Why a stage is generated: told against the last run that had the same brief and stage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_support import ROOT, described
from ledger_support import SERVICE, sha256_of
from record_samples import brief, image_input, record, stage

from blocks.ledger import Ledger
from tasks.models import ComposeRequest, EditRequest, VideoRequest
from tasks.planning import past_runs
from tasks.planning.past_runs import PastStage, latest_stages
from tasks.planning.plan_reasons import Asked, Cause, why_generated
from tasks.record import Outcome
from tasks.work import WorkInput

RUN = "20261121-093000-spring-a1b2"
EDIT = EditRequest(prompt="warm")


def an_input(source: str, content: str | None = None) -> WorkInput:
    return WorkInput(role="images", source=source, sha256=sha256_of(content or source))


def asked(
    request: Any = EDIT, inputs: tuple[WorkInput, ...] = (), *, take: int = 1, waiting: str | None = None
) -> Asked:
    return Asked("a", request, inputs or (an_input("mug.png"),), take, waiting)


def past(
    request: Any = EDIT, inputs: tuple[WorkInput, ...] = (), *, take: int = 1, outcome: str = "generated"
) -> PastStage:
    sent = inputs or (an_input("mug.png"),)
    return PastStage(
        run=RUN,
        outcome=outcome,
        model=request.model_id,
        request=request.parameters(),
        inputs=tuple((item.source, item.sha256) for item in sent),
        take=take,
    )


CARRIED = (an_input("a/edit-1", "one"), an_input("logo.png"))


@pytest.mark.parametrize(
    ("now", "before", "text", "causes"),
    [
        (asked(), None, "new", [Cause.NEW]),
        (
            asked(waiting="edit"),
            None,
            "new; waits for the pictures of the edit stage",
            [Cause.NEW],
        ),
        (
            asked(EditRequest(prompt="cold")),
            past(),
            f"prompt changed from run {RUN}",
            [Cause.PROMPT],
        ),
        (
            asked(EditRequest(prompt="warm", resolution="2k", num_images=3)),
            past(),
            f"parameters changed: num_images 1 → 3, resolution 1k → 2k (since run {RUN})",
            [Cause.PARAMETERS],
        ),
        (
            asked(VideoRequest(prompt="snow", keep_original_sound=False)),
            past(VideoRequest(prompt="snow")),
            f"parameters changed: keep_original_sound true → false (since run {RUN})",
            [Cause.PARAMETERS],
        ),
        (
            asked(inputs=(an_input("mug.png", "retouched"),)),
            past(),
            f"input bytes changed: mug.png (since run {RUN})",
            [Cause.INPUT],
        ),
        (
            asked(inputs=(an_input("cup.png"),)),
            past(),
            f"input bytes changed: cup.png in place of mug.png (since run {RUN})",
            [Cause.INPUT],
        ),
        (
            asked(inputs=(an_input("cup.png", "mug.png"), an_input("jug.png"))),
            past(),  # the mug has another name now, which is no change
            f"input bytes changed: jug.png added (since run {RUN})",
            [Cause.INPUT],
        ),
        (
            asked(inputs=(an_input("cup.png"), an_input("mug.png"))),
            past(inputs=(an_input("mug.png"), an_input("cup.png"))),
            f"inputs changed: the same pictures in another order or number (since run {RUN})",
            [Cause.INPUT],
        ),
        (asked(take=3), past(), f"take raised from 1 to 3 (since run {RUN})", [Cause.TAKE]),
        (asked(take=1), past(take=2), f"take lowered from 2 to 1 (since run {RUN})", [Cause.TAKE]),
        (
            asked(EditRequest(prompt="cold", aspect_ratio="1:1"), take=2),
            past(),
            f"prompt changed from run {RUN}; parameters changed: aspect_ratio 16:9 → 1:1; take raised from 1 to 2",
            [Cause.PROMPT, Cause.PARAMETERS, Cause.TAKE],
        ),
        (
            asked(inputs=CARRIED, waiting="edit"),
            past(inputs=CARRIED),
            f"upstream will change: new pictures of the edit stage (since run {RUN})",
            [Cause.UPSTREAM],
        ),
        (
            asked(inputs=(an_input("a/edit-1", "another"), CARRIED[1])),
            past(inputs=CARRIED),
            f"upstream changed: other pictures come from the stage before (since run {RUN})",
            [Cause.UPSTREAM],
        ),
        (
            asked(ComposeRequest(prompt="cold"), CARRIED, waiting="edit"),
            past(ComposeRequest(prompt="warm"), CARRIED),
            f"prompt changed from run {RUN}; upstream will change: new pictures of the edit stage",
            [Cause.PROMPT, Cause.UPSTREAM],
        ),
        (asked(), past(), f"made in run {RUN}, and dropped since", [Cause.DROPPED]),
        (asked(), past(outcome="failed"), f"failed in run {RUN}", [Cause.UNFINISHED]),
        (asked(), past(outcome="held"), f"held back in run {RUN}", [Cause.UNFINISHED]),
        (
            asked(inputs=CARRIED),
            past(inputs=CARRIED[1:], outcome="skipped"),
            f"left out in run {RUN}",
            [Cause.UNFINISHED],
        ),
    ],
)
def test_a_reason_says_what_changed(
    now: Asked, before: PastStage | None, text: str, causes: list[Cause]
) -> None:
    why = why_generated(now, before)
    assert (why.text, list(why.causes)) == (text, causes)
    assert why.since_run == (None if before is None else RUN)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as opened:
        yield opened


def end_run(
    ledger: Ledger,
    *names: str,
    prompt: str = "warm",
    campaign: str = "spring",
    path: str = "/c/spring.csv",
    service: str = SERVICE,
    text: str | None = None,
) -> str:
    """A run of these briefs, each an edit of one picture, that has ended with its record."""
    run = ledger.start_run(
        campaign=campaign,
        csv_path=path,
        csv_sha256=sha256_of("csv"),
        service=service,
        provider="wavespeed",
        out="runs",
    )
    briefs = tuple(
        brief(
            name,
            (
                stage(
                    name,
                    "edit",
                    Outcome.GENERATED,
                    request=EditRequest(prompt=prompt).parameters(),
                    inputs=(image_input("mug.png", "image"),),
                ),
            ),
            row={"brief": name, "take": "2"},
        )
        for name in names
    )
    document = record(Path("/c"), briefs, run=run.id, service=service).model_dump_json()
    ledger.end_run(run.id, exit_status=0, record_json=document if text is None else text)
    return run.id


def found(ledger: Ledger, *wanted: tuple[str, str]) -> dict[str, str]:
    stages = latest_stages(
        ledger, campaign="spring", csv_path="/c/spring.csv", service=SERVICE, wanted=wanted
    )
    return {brief: f"{stage.request['prompt']} {stage.run}" for (brief, _), stage in stages.items()}


def test_the_latest_run_that_had_the_stage_is_found(ledger: Ledger) -> None:
    first = end_run(ledger, "a", "b", prompt="first")
    second = end_run(ledger, "b", prompt="second")
    end_run(ledger, "b", prompt="another campaign", campaign="autumn", path="/c/autumn.csv")
    end_run(ledger, "b", prompt="another service", service="simulator")
    end_run(ledger, "b", text='{"brief":"b", "of": "a later version"}')
    moved = end_run(ledger, "d", prompt="moved", path="/elsewhere/spring.csv")
    assert found(ledger, ("a", "edit"), ("b", "edit"), ("b", "video"), ("c", "edit"), ("d", "edit")) == {
        "a": f"first {first}",
        "b": f"second {second}",
        "d": f"moved {moved}",
    }
    [stage] = latest_stages(
        ledger, campaign="", csv_path="/c/spring.csv", service=SERVICE, wanted=[("a", "edit")]
    ).values()
    assert (stage.take, stage.made, stage.inputs[0][0]) == (2, True, "mug.png")


def test_no_record_is_read_where_nothing_is_wanted_or_all_is_found(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        end_run(ledger, "a", prompt=str(number))
    read: list[str] = []

    def reading(_: Ledger, run: str) -> str:
        read.append(run)
        return ""

    monkeypatch.setattr(Ledger, "run_record", reading)
    assert found(ledger) == {}
    assert read == []
    monkeypatch.setattr(past_runs, "_MOST_RUNS", 2)
    assert found(ledger, ("new", "edit")) == {}
    assert len(read) == 2


def test_every_cause_is_described() -> None:
    assert set(described(ROOT / "docs" / "planning.md", "cause", "means")) == {cause.value for cause in Cause}
