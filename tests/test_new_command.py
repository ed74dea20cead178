"""`campaign new`: a starter that works as it is, and that takes the place of nothing."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from blocks.errors import InvalidInput
from blocks.settings import load_settings
from flows.commands.new import MEDIA_FOLDER, new_campaign
from flows.preparation import prepared
from tasks.briefs.brief_columns import COLUMNS, brief_schema
from tasks.briefs.starter import MEDIA
from tasks.models import Stage


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith(("WAVESPEED_", "CAMPAIGN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.rglob("*.partial"))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_it_writes_can_be_planned_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await new_campaign(Path("spring sale.csv")) == 0
    assert set(_files(folder)) == {"spring sale.csv", *(f"{MEDIA_FOLDER}/{name}" for name in MEDIA)}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("Next: campaign plan 'spring sale.csv'\n")
    async with prepared(load_settings(), Path("spring sale.csv")) as ready:
        plan, campaign = ready.plan, ready.campaign
    assert {entry.stage for entry in plan.stages} == set(Stage)
    assert {entry.action for entry in plan.stages} == {"generate"}
    assert len(campaign.briefs) > len({brief.line for brief in campaign.briefs}), "a row makes variants"
    assert "product" in campaign.columns
    prompts = [part.request.prompt for brief in campaign.briefs for part in brief.parts]
    assert sum("mug with the tern mark" in prompt for prompt in prompts) == 5
    assert not any("{" in prompt for prompt in prompts)


async def test_it_says_in_comments_what_every_column_is_for(folder: Path) -> None:
    await new_campaign(folder / "a" / "b.csv")
    lines = (folder / "a" / "b.csv").read_text("utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    described = [line.split()[1] for line in comments if line.startswith("#   ")]
    assert described[-len(COLUMNS) :] == list(COLUMNS)
    rows = list(csv.DictReader(lines[len(comments) :]))
    assert rows
    for row in rows:
        Draft202012Validator(brief_schema()).validate(row)


async def test_the_name_of_the_file_stays_within_its_comment() -> None:
    await new_campaign(Path("two\nlines.csv"))
    async with prepared(load_settings(), Path("two\nlines.csv")) as ready:
        assert len(ready.campaign.briefs) == 6


async def test_a_second_starter_shares_the_media(folder: Path) -> None:
    await new_campaign(Path("a.csv"))
    before = (folder / MEDIA_FOLDER / "mug.jpg").stat()
    await new_campaign(Path("b.csv"))
    assert (folder / MEDIA_FOLDER / "mug.jpg").stat() == before


@pytest.mark.parametrize(
    ("there", "shown"),
    [("spring.csv", "spring.csv"), (f"{MEDIA_FOLDER}/cups.jpg", f"{MEDIA_FOLDER}/cups.jpg")],
)
async def test_nothing_is_overwritten(folder: Path, there: str, shown: str) -> None:
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / there).write_bytes(b"mine")
    with pytest.raises(InvalidInput) as refusal:
        await new_campaign(Path("spring.csv"))
    assert (
        str(refusal.value)
        == f"{shown} is already there and stays as it is; name another file, or move it away first"
    )
    assert _files(folder) == {there: b"mine"}


async def test_a_dangling_link_and_a_folder_are_there_too(folder: Path) -> None:
    (folder / "link.csv").symlink_to(folder / "nowhere.csv")
    (folder / "folder.csv").mkdir()
    for name, message in (("link.csv", "already there"), ("folder.csv", "is a folder; name the CSV file")):
        with pytest.raises(InvalidInput, match=message):
            await new_campaign(Path(name))
    assert _files(folder) == {}


async def test_a_file_that_comes_in_between_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(source: Path, destination: Path) -> None:
        destination.write_bytes(b"mine")
        link(source, destination)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(InvalidInput, match="already there"):
        await new_campaign(Path("spring.csv"))
    assert (folder / "spring.csv").read_bytes() == b"mine"


async def test_a_disk_without_links_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, destination: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    await new_campaign(Path("spring.csv"))
    assert b"forest-mug" in (folder / "spring.csv").read_bytes()
    with pytest.raises(InvalidInput, match="already there"):
        await new_campaign(Path("spring.csv"))


async def test_a_place_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"file/spring\.csv cannot be written: Not a directory"):
        await new_campaign(Path("file/spring.csv"))
