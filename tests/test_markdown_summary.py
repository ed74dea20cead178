"""What of a run is shown where others draw it: no text is markup, and no picture is one that was flagged."""

import io
import re
from pathlib import Path

from markdown_support import shown_text, tokens
from PIL import Image
from record_samples import HOSTILE_TEXTS, Assets, large

from tasks.accounting.markdown_summary import markdown_summary, plain
from tasks.exports import visible
from tasks.page.thumbnails import Size, thumbnail_name
from tasks.run_files.contact_sheet import MOST_TILES, contact_sheet

MARKUP = (
    "[x](javascript:alert(1))",
    "![x](http://x/y.png)",
    "<b>",
    "| a | b |",
    "# x\n# y",
    "https://x.example",
    "`c`",
    "a\\|b",
    "&lt;b&gt;",
    "~~s~~",
    "1. x",
    "- x",
    "a  \nb",
    "[x]: http://x",
    "www.x.example me@x.example",
)


def test_what_others_wrote_is_never_markup(tmp_path: Path) -> None:
    for text in (*HOSTILE_TEXTS, *MARKUP):
        expected = " ".join(visible(text).split())
        for markdown in (plain(text), f"| a |\n| --- |\n| {plain(text)} |"):
            kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens(markdown)}
            assert kinds <= {
                "paragraph",
                "text",
                "text_special",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
            }, text
        shown = shown_text(plain(text))
        assert shown == expected if len(expected) <= 300 else shown == f"{expected[:299]}…"
        assert not re.search(r"://|www\.|\w@", plain(text)), "nothing that is linked by itself"


def test_the_simulator_is_named_once(tmp_path: Path) -> None:
    run = large(tmp_path, Assets(), 1)
    simulated = run.model_copy(update={"provider": "simulator", "service": "simulator"})
    assert "| provider | simulator |" in markdown_summary(simulated, tmp_path, "done")
    real = markdown_summary(run, tmp_path, "done")
    assert "| provider | wavespeed, https://api.wavespeed.ai |" in real.replace("\\", "")


def test_a_contact_sheet_shows_the_first_finished_briefs(tmp_path: Path) -> None:
    record = large(tmp_path, Assets(), 30)
    flagged = record.briefs[0].stages[0].assets[0].model_copy(update={"flagged_nsfw": True})
    (tmp_path / "page").mkdir()
    assert contact_sheet(record, tmp_path) is None, "no small pictures were drawn"
    for asset in {asset.sha256: asset for stage in record.stages for asset in stage.assets}.values():
        colour = (200, 30, 30) if asset.media_type == "video/mp4" else (30, 200, 30)
        name = thumbnail_name(asset.sha256, Size.SMALL)
        Image.new("RGB", (640, 360), colour).save(tmp_path / "page" / name, "WEBP")
    sheet = contact_sheet(record, tmp_path)
    assert sheet is not None
    content, count = sheet
    assert count == MOST_TILES == 12
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (4 * 248 + 8, 3 * 210 + 8)
        middle = picture.convert("RGB").getpixel((128, 98))
    assert isinstance(middle, tuple)
    assert middle[0] > 150 > middle[1], "the clip, with which the brief ends"
    stages = tuple(stage.model_copy(update={"assets": (flagged,)}) for stage in record.briefs[0].stages)
    one = record.model_copy(update={"briefs": (record.briefs[0].model_copy(update={"stages": stages}),)})
    assert contact_sheet(one, tmp_path) is None, "what was flagged is shown to nobody"
