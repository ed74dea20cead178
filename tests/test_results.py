"""``results.csv``: the campaign's rows with what became of them."""

import csv
import io
from pathlib import Path

from record_samples import COLUMNS, Assets, brief, every_outcome, hostile, record

from tasks.accounting.results import results_csv
from tasks.briefs.brief_columns import SOURCE_COLUMNS
from tasks.briefs.campaign_file import RESULT_COLUMNS, read_campaign_file
from tasks.exports import original_cell


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_campaigns_rows_in_their_order_with_what_became_of_them(tmp_path: Path) -> None:
    run = every_outcome(tmp_path / "campaign", Assets())
    read = rows(results_csv(run, tmp_path / "runs" / run.run))
    assert list(read[0]) == [*COLUMNS, *RESULT_COLUMNS]
    assert [tuple(row[name] for name in ("brief", "status", "charged_usd")) for row in read] == [
        ("mug", "done", "1.99632"),
        ("lamp", "done", "0"),
        ("chair", "failed", "0"),
        ("vase", "held", "0.028"),
    ]
    mug, _, chair, vase = read
    assert mug["edit_assets"] == "assets/mug/edit-1.png|assets/mug/edit-2.png"
    assert mug["compose_assets"] == "assets/mug/compose-1.png"
    assert mug["video_asset"] == "assets/mug/video-1.mp4"
    assert (chair["error"], chair["edit_assets"], vase["edit_assets"]) == (run.briefs[2].error, "", "")


def test_sources_still_resolve_from_the_runs_folder(tmp_path: Path) -> None:
    campaign, folder = tmp_path / "campaign", tmp_path / "out" / "runs" / "r1"
    (campaign / "media").mkdir(parents=True)
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png", "=c.mp4"):
        (campaign / "media" / name).write_bytes(name.encode())
    absolute = str(campaign / "media" / "b.png")
    row = {
        "brief": "b",
        "edit_prompt": "media/a.png stays: it is a prompt",
        "edit_image": "media/a.png",
        "compose_images": f"./media/a.png | https://pictures.example/a.png?x=../y|{absolute}",
        "video": "media/../media/=c.mp4",
        "video_images": "",
    }
    columns = tuple(row)
    read = rows(results_csv(record(campaign, (brief("b", (), row=row),), csv_columns=columns), folder))[0]
    assert read["edit_prompt"] == row["edit_prompt"]
    assert (folder / read["edit_image"]).read_bytes() == b"a.png"
    first, url, kept = read["compose_images"].split("|")
    assert (folder / first).read_bytes() == b"a.png"
    assert (url, kept) == ("https://pictures.example/a.png?x=../y", absolute)
    assert (folder / read["video"]).read_bytes() == b"=c.mp4"
    assert read["video_images"] == ""


def test_sources_resolve_through_linked_folders(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "deep" / "runs"
    real.mkdir(parents=True)
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    (campaign / "a.png").write_bytes(b"a")
    (campaign / "runs").symlink_to(real, target_is_directory=True)
    folder = campaign / "runs" / "r1"
    folder.mkdir()
    run = record(campaign, (brief("b", (), row={"brief": "b", "edit_image": "a.png"}),))
    read = rows(results_csv(run, folder))[0]
    assert (folder / read["edit_image"]).read_bytes() == b"a"


def test_a_source_that_looks_like_a_formula_is_marked(tmp_path: Path) -> None:
    run = record(tmp_path, (brief("b", (), row={"brief": "b", "edit_image": "=a.png"}),))
    read = rows(results_csv(run, tmp_path))[0]
    assert read["edit_image"] == "'=a.png"
    assert original_cell(read["edit_image"]) == "=a.png"


def test_hostile_cells_come_back_as_they_were(tmp_path: Path) -> None:
    run = hostile(tmp_path, Assets())
    for row, before in zip(rows(results_csv(run, tmp_path / "runs")), run.briefs, strict=True):
        for name in set(COLUMNS) - set(SOURCE_COLUMNS):
            assert original_cell(row[name]) == before.row.get(name, "")
        assert original_cell(row["error"]) == before.error
        assert row["take"] == "-1"
        assert row["edit_prompt"] == "-1.5" or row["edit_prompt"][:1] not in {"=", "+", "-", "@", "\t", "\r"}


def test_a_results_file_is_a_campaign_again(tmp_path: Path) -> None:
    run = hostile(tmp_path / "campaign", Assets())
    path = tmp_path / "runs" / run.run / "results.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(results_csv(run, path.parent))
    again = read_campaign_file(path, COLUMNS)
    assert not again.problems
    assert again.columns == COLUMNS
    for read, before in zip(again.records, run.briefs, strict=True):
        kept = {name: before.row.get(name, "") for name in COLUMNS}
        assert {**read.cells, "edit_image": ""} == {**kept, "edit_image": ""}
        assert (path.parent / read.cells["edit_image"]).resolve() == tmp_path / "campaign" / "media" / "a.png"


def test_results_of_results_have_each_column_once(tmp_path: Path) -> None:
    row = {"brief": "b", "status": "failed", "charged_usd": "9", "edit_prompt": "x"}
    columns = ("brief", "status", "edit_prompt", "charged_usd")
    content = results_csv(record(tmp_path, (brief("b", (), row=row),), csv_columns=columns), tmp_path)
    assert content.decode().splitlines()[0].split(",") == ["brief", "edit_prompt", *RESULT_COLUMNS]
    assert rows(content)[0]["status"] == "done"
    assert rows(content)[0]["charged_usd"] == "0"
