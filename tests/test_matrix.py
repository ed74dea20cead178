"""A list of aspect ratios makes variants: their ids, what they share, how faults, plans and results tell of them."""

import csv
import io
import re
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from record_samples import Assets, brief, record, stage
from simulator_support import picture

from blocks.errors import InvalidInput
from blocks.settings import load_settings
from flows.preparation import prepared
from tasks.accounting.results import results_csv
from tasks.briefs import campaign_text
from tasks.briefs.brief_columns import MATRIX_COLUMNS
from tasks.briefs.matrix import expansion_notes
from tasks.briefs.reading import read_campaign
from tasks.record import Outcome, StageRecord
from tasks.run_files.run_folder import write_run_folder

EDIT = {"edit_prompt": "warm light", "edit_image": "shoe.png"}
COMPOSE = {"compose_prompt": "on a table with @Image1"}


def _write(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "c.csv"
    rows = tuple({"brief": f"b{number}", **row} for number, row in enumerate(rows))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _problems(folder: Path, *rows: dict[str, str]) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_campaign(_write(folder, *rows))
    return [f"{problem.line}: {problem.column}: {problem.message}" for problem in caught.value.problems]


def test_a_list_makes_one_variant_each(tmp_path: Path) -> None:
    plain, listed = EDIT, EDIT | {"edit_aspect_ratio": " 1:1 | 9:16|21:9"}
    campaign = read_campaign(_write(tmp_path, plain, listed, plain))
    assert [(brief.brief, brief.line, brief.written) for brief in campaign.briefs] == [
        ("b0", 2, "b0"),
        ("b1@1x1", 3, "b1"),
        ("b1@9x16", 3, "b1"),
        ("b1@21x9", 3, "b1"),
        ("b2", 4, "b2"),
    ]
    ratios = [brief.edit.request.aspect_ratio for brief in campaign.briefs if brief.edit]
    assert ratios == ["16:9", "1:1", "9:16", "21:9", "16:9"]
    assert {brief.row["edit_aspect_ratio"] for brief in campaign.briefs[1:4]} == {" 1:1 | 9:16|21:9"}


def test_two_lists_make_every_combination(tmp_path: Path) -> None:
    row = EDIT | COMPOSE | {"edit_aspect_ratio": "1:1|9:16", "compose_aspect_ratio": "AUTO|16:9"}
    campaign = read_campaign(_write(tmp_path, row))
    assert [brief.brief for brief in campaign.briefs] == [
        "b0@1x1-auto",
        "b0@1x1-16x9",
        "b0@9x16-auto",
        "b0@9x16-16x9",
    ]
    assert [
        tuple(part.request.parameters()["aspect_ratio"] for part in b.parts) for b in campaign.briefs
    ] == [
        ("1:1", "auto"),
        ("1:1", "16:9"),
        ("9:16", "auto"),
        ("9:16", "16:9"),
    ]


def test_ids_of_all_variants_are_different_safe_and_short(tmp_path: Path) -> None:
    everything = {column: "|".join(ratios) for column, ratios in MATRIX_COLUMNS.items()}
    row = EDIT | COMPOSE | everything | {"brief": "a" * 64}
    names = [brief.brief for brief in read_campaign(_write(tmp_path, row)).briefs]
    assert len(names) == len({name.lower() for name in names}) == len(list(product(*MATRIX_COLUMNS.values())))
    assert all(re.fullmatch(r"a{64}@[0-9a-z]{2,5}-[0-9a-z]{2,5}", name) for name in names)


def test_an_id_that_is_written_has_no_variants_mark(tmp_path: Path) -> None:
    assert "is no id" in _problems(tmp_path, EDIT | {"brief": "b@9x16"})[0]


def test_a_list_counts_where_its_stage_has_a_prompt(tmp_path: Path) -> None:
    campaign = read_campaign(_write(tmp_path, EDIT | {"compose_aspect_ratio": "1:1|9:16"}))
    assert [brief.brief for brief in campaign.briefs] == ["b0"]
    assert expansion_notes(campaign) == (
        "b0: compose_aspect_ratio lists several, but compose_prompt is blank: they make no variants",
    )


def test_a_cell_is_told_about_once_whatever_its_variants_would_say(tmp_path: Path) -> None:
    row = (
        EDIT
        | COMPOSE
        | {
            "edit_aspect_ratio": "1:1|9:16|1:1|7:5||x",
            "compose_aspect_ratio": "1:1|9:16",
            # Filled with each ratio it is too long by another number of characters.
            "edit_prompt": "{compose_aspect_ratio}" * 900,
            "compose_prompt": "@Image9",
            "take": "none",
        }
    )
    assert [text.split(";")[0] for text in _problems(tmp_path, row | {"edit_image": ""})] == [
        "2: edit_prompt: 2,700 characters",
        "2: edit_image: blank",
        "2: compose_prompt: @Image9 names a picture that is not there: the stage has one picture, @Image1",
        "2: edit_aspect_ratio: “1:1” is listed twice",
        "2: edit_aspect_ratio: “7:5” is not one of 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3, 21:9",
        "2: edit_aspect_ratio: entry 5 of the list is blank",
        "2: edit_aspect_ratio: “x” is not one of 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3, 21:9",
        "2: take: “none” is not a whole number of 1 or more",
    ]


def test_a_prompt_is_filled_with_the_variants_ratio_and_the_written_id(tmp_path: Path) -> None:
    row = EDIT | {"edit_prompt": "{brief} in {edit_aspect_ratio}", "edit_aspect_ratio": "1:1|9:16"}
    campaign = read_campaign(_write(tmp_path, row))
    assert [brief.parts[0].request.prompt for brief in campaign.briefs] == ["b0 in 1:1", "b0 in 9:16"]


def test_variants_count_as_briefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.briefs.brief_rows.MOST_ROWS", 5)
    listed = EDIT | {"edit_aspect_ratio": "1:1|9:16"}
    assert len(read_campaign(_write(tmp_path, listed, EDIT, listed)).briefs) == 5
    assert _problems(tmp_path, listed, EDIT, EDIT, listed, listed) == [
        "5: brief: with this row's variants more than 5 briefs; split the campaign into several files"
    ]
    assert campaign_text.MOST_ROWS == 100_000


async def test_the_plan_shows_the_variants_and_pays_for_what_they_share_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WAVESPEED_API_KEY", "CAMPAIGN_HOME", "CAMPAIGN_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shoe.png").write_bytes(picture(width=640, height=360))
    path = _write(tmp_path, EDIT, EDIT | COMPOSE | {"take": "2", "compose_aspect_ratio": "1:1|9:16|16:9"})
    async with prepared(load_settings(), path) as ready:
        plan = ready.plan
    assert plan.briefs == 4
    found = {(entry.brief, entry.stage.value): entry for entry in plan.stages}
    shared = [found[f"b1@{ratio}", "edit"] for ratio in ("9x16", "16x9")]
    assert found["b1@1x1", "edit"].action == "generate"
    assert {(entry.action, entry.reason, entry.cost) for entry in shared} == {
        ("cached", "equal to brief b1@1x1", 0)
    }
    assert {found[f"b1@{ratio}", "compose"].action for ratio in ("1x1", "9x16", "16x9")} == {"generate"}
    assert plan.cost == 5 * 28_000
    assert "line 3: b1 makes 3 variants: b1@1x1, b1@9x16, b1@16x9" in plan.notes


def test_a_row_of_results_stands_for_all_of_its_variants(tmp_path: Path) -> None:
    campaign = read_campaign(_write(tmp_path, EDIT | {"edit_aspect_ratio": "1:1|9:16|16:9"}, EDIT))
    assets = Assets()
    one, two, three, plain = campaign.briefs

    def made(name: str, outcome: Outcome, shade: int) -> StageRecord:
        pictures = (assets.picture(f"assets/{name}/edit-1.png", shade),)
        return stage(name, "edit", outcome, assets=pictures if outcome is Outcome.GENERATED else ())

    members = []
    for number, (read, outcome, status, error) in enumerate(
        (
            (one, Outcome.GENERATED, "done", None),
            (two, Outcome.FAILED, "failed", "moderated"),
            (three, Outcome.GENERATED, "done", None),
            (plain, Outcome.GENERATED, "done", None),
        )
    ):
        stages = (made(read.brief, outcome, number),)
        members.append(brief(read.brief, stages, status, line=read.line, row=dict(read.row), error=error))
    run = record(tmp_path, tuple(members), csv_columns=campaign.columns)
    folder = tmp_path / "runs" / "r1"
    write_run_folder(run, folder, place_asset=assets.place)
    assert (folder / "assets" / "b0@16x9" / "edit-1.png").is_file()
    with (folder / "cost.csv").open(newline="", encoding="utf-8") as file:
        assert [row["brief"] for row in csv.DictReader(file)] == ["b0@1x1", "b0@9x16", "b0@16x9", "b1"]

    first, second = csv.DictReader(io.StringIO(results_csv(run, folder).decode(), newline=""))
    assert (first["brief"], first["status"], first["error"]) == ("b0", "failed", "b0@9x16: moderated")
    assert Decimal(first["charged_usd"]) == Decimal("0.056")
    assert first["edit_assets"] == "assets/b0@1x1/edit-1.png|assets/b0@16x9/edit-1.png"
    assert (second["brief"], second["status"], second["edit_assets"]) == (
        "b1",
        "done",
        "assets/b1/edit-1.png",
    )
    again = read_campaign(folder / "results.csv")
    assert [(b.brief, b.parts[0].request) for b in again.briefs] == [
        (b.brief, b.parts[0].request) for b in campaign.briefs
    ]
