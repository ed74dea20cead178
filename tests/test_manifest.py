"""``manifest.json``: what made what."""

import asyncio
import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caching_model import CLIP, Desk
from caching_support import plan_of, run, settings_at, without_network_and_prefect
from docs_support import ROOT
from jsonschema import Draft202012Validator
from record_samples import HOSTILE_TEXTS, Assets, every_outcome, hostile
from simulator_support import picture

from flows.closing import ClosedRun
from tasks.provenance.manifest import manifest_json
from tasks.provenance.manifest_document import PARTS, Manifest

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "manifest.schema.json").read_text("utf-8"))
VALID = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_every_asset_knows_what_it_was_made_from(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    manifest = json.loads(manifest_json(run))
    compose = manifest["briefs"][0]["stages"][1]
    assert [given["source"] for given in compose["inputs"]] == ["mug/edit-1", "mug/edit-2", "media/logo.png"]
    asset = compose["assets"][0]
    made = run.briefs[0].stages[1].assets[0]
    assert (asset["path"], asset["sha256"], asset["bytes"]) == (made.path, made.sha256, made.bytes)
    assert (asset["width"], asset["height"], asset["media_type"]) == (48, 27, "image/png")
    assert asset["parents"] == [given.sha256 for given in run.briefs[0].stages[1].inputs]


def test_a_stage_is_told_in_full(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    given = run.briefs[0].stages[2]
    told = json.loads(manifest_json(run))["briefs"][0]["stages"][2]
    assert told["request"] == given.request
    assert (told["prompt"], told["prediction_id"]) == (given.prompt, given.prediction_id)
    assert (told["generation_key"], told["outcome"]) == (given.generation_key, "generated")
    assert (told["quantity"], told["charged_usd"], told["refunded_usd"]) == ("5.312", "1.91232", "0")
    assert told["started_at"] == "2026-11-21T09:30:00+00:00"
    assert told["latency"]["inference_s"] == 92.4367
    assert told["assets"][0]["duration_seconds"] == "5.312"


def test_the_run_is_told_in_full(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets(), provider="simulator", service="simulator")
    manifest = json.loads(manifest_json(run))
    assert (manifest["run"], manifest["provider"], manifest["service"]) == (run.run, "simulator", "simulator")
    assert manifest["campaign"]["sha256"] == run.csv_sha256
    assert manifest["price_list"] == {
        "name": run.price_list.name,
        "dated": run.price_list.dated,
        "sha256": run.price_list.sha256,
        "prices": list(run.price_list.prices),
    }
    assert manifest["versions"] == run.versions
    assert (manifest["budget_usd"], manifest["exit_status"], manifest["seconds"]) == ("20", 3, 261.5)
    assert manifest["ended_at"] == "2026-11-21T09:34:21.500000+00:00"


def _money(value: Any, name: str = "") -> list[object]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _money(inner, key)]
    if isinstance(value, list):
        return [found for inner in value for found in _money(inner, name)]
    return [value] if name.endswith("_usd") else []


def test_no_amount_is_a_binary_number(tmp_path: Path) -> None:
    amounts = _money(json.loads(manifest_json(every_outcome(tmp_path, Assets()))))
    assert len(amounts) > 40
    assert all(isinstance(amount, str) for amount in amounts)


def test_it_is_written_the_same_way_every_time_with_sorted_keys(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    content = manifest_json(run)
    again = type(run).model_validate_json(run.model_dump_json())
    assert manifest_json(again) == content
    manifest = json.loads(content)
    assert content.decode() == json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_hostile_texts_are_exact(tmp_path: Path) -> None:
    manifest = json.loads(manifest_json(hostile(tmp_path, Assets())))
    prompts = [brief["stages"][0]["prompt"] for brief in manifest["briefs"]]
    assert prompts == list(HOSTILE_TEXTS)


def test_half_a_surrogate_pair_in_a_request_does_not_stop_it(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, Assets())
    stage = run.briefs[0].stages[0].model_copy(update={"request": {"prompt": "a\ud800"}})
    brief = run.briefs[0].model_copy(update={"stages": (stage,)})
    content = manifest_json(run.model_copy(update={"briefs": (brief,)}))
    assert json.loads(content)["briefs"][0]["stages"][0]["request"] == {"prompt": "a\ud800"}


# The layout.


def test_the_schema_is_one_and_describes_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for part in PARTS.values():
        for name, field in part.model_fields.items():
            assert field.description, (part, name)
            assert field.is_required(), (part, name)


@pytest.mark.parametrize("make", [every_outcome, hostile])
def test_every_manifest_is_of_the_schema(make: Any, tmp_path: Path) -> None:
    content = manifest_json(make(tmp_path, Assets()))
    assert list(VALID.iter_errors(json.loads(content))) == []
    # The reader knows every key, and loses none.
    told = Manifest.model_validate_json(content).model_dump(mode="json", by_alias=True)
    assert _moments_aside(told) == _moments_aside(json.loads(content))


def _moments_aside(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _moments_aside(inner) for name, inner in value.items() if not name.endswith("_at")}
    return [_moments_aside(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("versions"),
        lambda told: told.update(more=1),
        lambda told: told.update(schema=2),
        lambda told: told["briefs"][0]["stages"][0].update(charged_usd=0.056),
        lambda told: told["briefs"][0]["stages"][0].update(charged_usd="0.0560001"),
        lambda told: told["briefs"][0]["stages"][0]["assets"][0].update(sha256="A" * 64),
        lambda told: told["briefs"][0]["stages"][0]["assets"][0].pop("parents"),
        lambda told: told["briefs"][0]["stages"][0].update(outcome="done"),
    ],
)
def test_what_is_no_manifest_is_not_of_the_schema(change: Any, tmp_path: Path) -> None:
    told = json.loads(manifest_json(every_outcome(tmp_path, Assets())))
    change(told)
    assert list(VALID.iter_errors(told))


# From the manifest alone: the graph, and the run again. The readers here know nothing of the program.


ROWS = [
    {
        "brief": "whole",
        "edit_prompt": 'warm, "quoted"\nand on two lines',
        "edit_image": "mug.png",
        "edit_num_images": "2",
        "compose_prompt": "@Image1 beside @Image2 {{in braces}}",
        "compose_images": "cup.png",
        "video_prompt": "at dusk",
        "video": "clip.mp4",
        "take": "2",
    },
    {"brief": "shapes", "edit_prompt": "warm", "edit_image": "cup.png", "edit_aspect_ratio": "1:1|9:16"},
    {"brief": "again", "edit_prompt": "warm", "edit_image": "cup.png", "edit_aspect_ratio": "1:1"},
]
FILES = {"mug.png": picture(), "cup.png": picture(width=310), "clip.mp4": CLIP}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ClosedRun, dict[str, Any]]]:
    """The home and the record of a run of these rows, and the manifest that it left."""
    folder = tmp_path_factory.mktemp("made")
    with without_network_and_prefect():
        path = Desk(folder / "campaign", [dict(row) for row in ROWS], FILES).write()
        closed = _run(folder / "home", path)
        assert {brief.status for brief in closed.record.briefs} == {"done"}
        yield folder, closed, json.loads(manifest_json(closed.record))


def _run(home: Path, path: Path) -> ClosedRun:
    return asyncio.run(run(settings_at(home), path))


def test_the_graph_is_drawn_from_the_manifest_alone(made: tuple[Path, ClosedRun, dict[str, Any]]) -> None:
    _, _, told = made
    assert list(VALID.iter_errors(told)) == []
    names = {hashlib.sha256(content).hexdigest(): name for name, content in FILES.items()}
    edges = set()
    for brief in told["briefs"]:
        stages = [stage for stage in brief["stages"] if stage["assets"]]
        own = {
            asset["sha256"]: asset["path"].rpartition("/")[2].partition(".")[0]
            for stage in stages
            for asset in stage["assets"]
        }
        for stage in stages:
            for asset in stage["assets"]:
                assert asset["parents"], "nothing is made from nothing"
                for parent in asset["parents"]:
                    edges.add((brief["brief"], own.get(parent) or names[parent], own[asset["sha256"]]))
    assert edges == {
        ("whole", "mug.png", "edit-1"),
        ("whole", "mug.png", "edit-2"),
        ("whole", "edit-1", "compose-1"),
        ("whole", "edit-2", "compose-1"),
        ("whole", "cup.png", "compose-1"),
        ("whole", "compose-1", "video-1"),
        ("whole", "clip.mp4", "video-1"),
        ("shapes@1x1", "cup.png", "edit-1"),
        ("shapes@9x16", "cup.png", "edit-1"),
        ("again", "cup.png", "edit-1"),
    }


def test_every_key_of_work_follows_from_what_was_sent(made: tuple[Path, ClosedRun, dict[str, Any]]) -> None:
    _, _, told = made
    keys = []
    for brief in told["briefs"]:
        for stage in brief["stages"]:
            document = {
                "service": told["service"],
                "model": stage["model"],
                "parameters": stage["request"],
                "inputs": [given["sha256"] for given in stage["inputs"]],
                "take": brief["take"],
            }
            text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            assert hashlib.sha256(text.encode()).hexdigest() == stage["generation_key"]
            keys.append(stage["generation_key"])
    assert len(keys) == 6
    assert len(set(keys)) == 5  # two briefs are equal work


def csv_of(told: dict[str, Any]) -> bytes:
    """The campaign again: its columns, and each line's row once."""
    rows = {brief["line"]: brief["row"] for brief in told["briefs"]}
    text = io.StringIO()
    writer = csv.DictWriter(text, told["campaign"]["columns"])
    writer.writeheader()
    writer.writerows(rows[line] for line in sorted(rows))
    return text.getvalue().encode()


async def test_the_run_is_repeated_from_the_manifest_alone(
    made: tuple[Path, ClosedRun, dict[str, Any]], tmp_path: Path
) -> None:
    folder, closed, told = made
    # Elsewhere, under another name, with nothing but the manifest and the inputs' bytes.
    again = tmp_path / "elsewhere" / "repeated.csv"
    again.parent.mkdir()
    again.write_bytes(csv_of(told))
    for name, content in FILES.items():
        (again.parent / name).write_bytes(content)
    with without_network_and_prefect() as service:
        elsewhere = await plan_of(settings_at(tmp_path / "other-home"), again)
        assert len(elsewhere.to_generate) == 5, "there it is all new"
        plan = await plan_of(settings_at(folder / "home"), again)
        assert plan.wholly_cached
        repeated = await run(settings_at(folder / "home"), again, frozen=True)
        assert service.calls == []
    keys = [(stage.brief, stage.stage, stage.generation_key) for stage in repeated.record.stages]
    assert keys == [
        (b["brief"], s["stage"], s["generation_key"]) for b in told["briefs"] for s in b["stages"]
    ]
    assert [s.assets for s in repeated.record.stages] == [s.assets for s in closed.record.stages]
