"""``manifest.json``: what made what."""

import json
from pathlib import Path
from typing import Any

from record_samples import HOSTILE_TEXTS, Assets, every_outcome, hostile

from tasks.manifest import manifest_json


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
