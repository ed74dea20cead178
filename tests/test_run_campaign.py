"""`campaign run` from end to end: a CSV becomes files and tables that agree with the service's own books."""

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import av
import pytest
from campaign_support import MEDIA, Workplace, charged_millionths, rows_of
from PIL import Image
from pyarrow import parquet
from simulator_support import KEY, Simulator, simulator_thread

from tasks.provenance.verification import verify_run_folder

ALL_STAGES = {
    "edit_prompt": "golden hour light",
    "compose_prompt": "@Image1 and @Image2 on marble",
    "video_prompt": "snow falls",
}
MODELS = (
    "kwaivgi/kling-image-v3/edit",
    "kwaivgi/kling-image-o3/edit",
    "kwaivgi/kling-video-o3-pro/video-edit",
)


@pytest.fixture
def service(tmp_path: Path, workplace: Workplace) -> Iterator[Simulator]:
    with simulator_thread(tmp_path / "service") as simulator:
        workplace.use_service(simulator.url, KEY)
        yield simulator


def test_real_media_go_through_all_three_stages(workplace: Workplace) -> None:
    names = {"image": "coffee.png", "second": "astronaut.png", "clip": "bigbuckbunny.mp4"}
    if MEDIA.is_dir():
        for name in names.values():
            shutil.copy(MEDIA / name, workplace.folder)
    else:
        workplace.picture(names["image"])
        workplace.picture(names["second"], seed=2)
        workplace.clip(names["clip"], seconds=5.3)
    campaign = workplace.campaign(
        [
            ALL_STAGES
            | {
                "brief": "cup",
                "edit_image": names["image"],
                "edit_aspect_ratio": "3:2",
                "edit_output_format": "jpeg",
                "compose_images": names["second"],
                "compose_aspect_ratio": "1:1",
                "compose_output_format": "webp",
                "video": names["clip"],
            }
        ]
    )

    # One whole run as its users start it, from nothing.
    finished = workplace.run_cold("run", campaign, "--json")

    assert finished.status == 0, finished
    document = finished.document
    assert document["provider"] == "simulator"
    assert document["briefs"] == {"total": 1, "done": 1, "failed": 0, "held": 0}
    out = workplace.out(document["run"])
    with Image.open(out / "assets/cup/edit-1.jpg") as edited:
        assert (edited.format, edited.size) == ("JPEG", (1248, 832))
    with Image.open(out / "assets/cup/compose-1.webp") as composed:
        assert (composed.format, composed.size) == ("WEBP", (1024, 1024))
    with (
        av.open(str(workplace.folder / names["clip"])) as given,
        av.open(str(out / "assets/cup/video-1.mp4")) as made,
    ):
        assert given.duration is not None
        assert made.duration is not None
        assert abs(made.duration - given.duration) < 60_000  # microseconds; a frame and a bit
        stream = made.streams.video[0]
        assert (stream.width, stream.height) == (given.streams.video[0].width, given.streams.video[0].height)
        assert stream.average_rate == 24
        assert made.streams.audio
        assert sum(1 for _ in made.decode(video=0)) == stream.frames
    assert charged_millionths(out / "cost.csv") == workplace.books().charged_total()
    assert {path.name for path in out.iterdir()} == {
        "assets",
        "cost.csv",
        "cost.parquet",
        "cost_summary.csv",
        "export",
        "focus.csv",
        "latency.csv",
        "latency.parquet",
        "latency_summary.csv",
        "manifest.json",
        "page",
        "report.html",
        "results.csv",
        "tables.xlsx",
    }
    # JPEG, WebP and MP4 as they really come take a mark, and everything is what the manifest says.
    marked = {path.relative_to(out / "export") for path in (out / "export").rglob("*.*")}
    assert marked == {path.relative_to(out / "assets") for path in (out / "assets").rglob("*.*")}
    source_type = b"http://cv.iptc.org/newscodes/digitalsourcetype/"
    assert all(source_type in (out / "export" / path).read_bytes() for path in marked)
    found = verify_run_folder(out)
    assert (found.problems, found.notes) == ([], [])
    index = (out.parent / "index.html").read_text("utf-8")
    assert f'href="{out.name}/report.html"' in index


def test_a_second_run_sends_no_post_for_a_model_and_charges_nothing(
    workplace: Workplace, service: Simulator
) -> None:
    campaign = workplace.campaign(
        [
            ALL_STAGES
            | {
                "brief": "a",
                "edit_image": workplace.picture(),
                "compose_images": "mug.png",
                "video": workplace.clip(),
            }
        ]
    )
    first = workplace.run("run", campaign, "--json")
    assert first.status == 0, first
    posts = sum(len(service.books.calls(f"/api/v3/{model}")) for model in MODELS)
    assert posts == 3

    second = workplace.run("run", campaign, "--json")

    assert second.status == 0, second
    assert sum(len(service.books.calls(f"/api/v3/{model}")) for model in MODELS) == posts
    assert second.document["charged_usd"] == "0"
    assert second.document["saved_usd"] == first.document["charged_usd"]
    assert second.document["stages"] == {"generated": 0, "cached": 3, "resumed": 0, "failed": 0, "held": 0}
    out = workplace.out(second.document["run"])
    assert {row["outcome"] for row in rows_of(out / "cost.csv")} == {"cached"}
    # The marked copies of a repeated run are the same, byte for byte.
    copies = [
        {path.name: path.read_bytes() for path in (workplace.out(name) / "export" / "a").iterdir()}
        for name in (first.document["run"], second.document["run"])
    ]
    assert copies[0] == copies[1]
    assert len(copies[0]) == 3
    first_assets = workplace.out(first.document["run"]) / "assets/a"
    for asset in (out / "assets/a").iterdir():
        assert asset.read_bytes() == (first_assets / asset.name).read_bytes()
    # The other service says of itself that it is simulated, and the run repeats it.
    assert second.document["provider"] == "simulator"
    assert first.document["run"].startswith("simulated-")


def test_the_tables_agree_with_the_books_to_the_millionth(workplace: Workplace, service: Simulator) -> None:
    clip = workplace.clip(seconds=3.37)
    campaign = workplace.campaign(
        [
            {
                "brief": "one",
                "edit_prompt": "warm",
                "edit_image": workplace.picture(),
                "edit_num_images": "3",
            },
            {
                "brief": "two",
                "compose_prompt": "@Image1",
                "compose_images": "mug.png",
                "compose_resolution": "4k",
            },
            {"brief": "three", "video_prompt": "night", "video": clip},
        ]
    )

    finished = workplace.run("run", campaign, "--json")

    out = workplace.out(finished.document["run"])
    books = service.books.charged_total()
    assert books > 0
    assert charged_millionths(out / "cost.csv") == books
    assert Decimal(finished.document["charged_usd"]) == Decimal(books) / 1_000_000
    table = parquet.read_table(out / "cost.parquet")
    assert sum(table["charged_usd"].to_pylist()) == Decimal(books) / 1_000_000
    total = rows_of(out / "cost_summary.csv")[-1]
    assert (total["stage"], Decimal(total["charged_usd"])) == ("total", Decimal(books) / 1_000_000)
    plan = workplace.run("plan", campaign, "--json").document
    assert Decimal(plan["saved_usd"]) == Decimal(books) / 1_000_000
    ids = {row["prediction_id"] for row in rows_of(out / "cost.csv")}
    assert ids == {prediction.id for prediction in service.books.predictions()}


def test_equal_work_of_two_briefs_is_paid_for_once(workplace: Workplace, service: Simulator) -> None:
    shutil.copy(workplace.folder / workplace.picture("mug.png"), workplace.folder / "copy.png")
    campaign = workplace.campaign(
        [
            {"brief": "one", "edit_prompt": "warm", "edit_image": "mug.png"},
            {"brief": "two", "edit_prompt": "warm", "edit_image": "copy.png"},
            {"brief": "three", "edit_prompt": "warm", "edit_image": "copy.png", "take": "2"},
        ]
    )
    plan = workplace.run("plan", campaign, "--json").document
    assert [stage["action"] for stage in plan["stages"]] == ["generate", "cached", "generate"]

    finished = workplace.run("run", campaign, "--json")

    assert finished.status == 0, finished
    assert finished.document["stages"]["generated"] == 2
    assert finished.document["charged_usd"] == plan["cost_usd"] == "0.056"
    assert len(service.books.predictions()) == 2


def test_what_several_pictures_of_a_stage_become(workplace: Workplace, service: Simulator) -> None:
    """The edited pictures come before the named ones, and each has its place in what was sent."""
    campaign = workplace.campaign(
        [
            {
                "brief": "a",
                "edit_prompt": "warm",
                "edit_image": workplace.picture(),
                "edit_num_images": "2",
                "compose_prompt": "@Image1 @Image2 @Image3",
                "compose_images": workplace.picture("second.png", seed=5),
            }
        ]
    )

    finished = workplace.run("run", campaign, "--json")

    assert finished.status == 0, finished
    sent = {prediction.model: prediction.input for prediction in service.books.predictions()}
    images = sent["kwaivgi/kling-image-o3/edit"]["images"]
    # The quick renderer returns its input, so both edited pictures are one upload.
    assert len(images) == 3
    assert images[0] == images[1] != images[2]
    assert (workplace.out(finished.document["run"]) / "assets/a/edit-2.png").is_file()


def test_pictures_of_every_kind_are_sent_as_the_models_take_them(
    workplace: Workplace, service: Simulator
) -> None:
    photo = Image.open(workplace.folder / workplace.picture(size=(480, 360)))
    rotated = photo.getexif()
    rotated[0x0112] = 6
    photo.save(workplace.folder / "rotated.jpg", exif=rotated)
    photo.convert("CMYK").save(workplace.folder / "cmyk.jpg")
    photo.convert("P").save(workplace.folder / "palette.png")
    photo.convert("I;16").save(workplace.folder / "deep.png")
    photo.save(workplace.folder / "new.webp", lossless=True)
    names = ("rotated.jpg", "cmyk.jpg", "palette.png", "deep.png", "new.webp")
    campaign = workplace.campaign(
        [{"brief": name, "edit_prompt": "warm", "edit_image": name} for name in names]
    )

    finished = workplace.run("run", campaign, "--json")

    assert finished.status == 0, finished
    out = workplace.out(finished.document["run"])
    # The quick renderer hands back what it was sent.
    for name in names:
        with Image.open(next((out / "assets" / name).iterdir())) as sent:
            assert sent.format in {"PNG", "JPEG"}
            assert sent.mode in {"RGB", "RGBA", "L"}
            assert sent.getexif().get(0x0112, 1) == 1
            assert sent.size == ((360, 480) if name == "rotated.jpg" else (480, 360))


def test_a_failing_brief_does_not_stop_the_others(tmp_path: Path, workplace: Workplace) -> None:
    faults = {
        "rules": [
            {"on": "submit", "prompt_contains": "forbidden", "do": "fail_prediction", "code": 1200},
            {
                "on": "submit",
                "prompt_contains": "nonsense",
                "do": "http_status",
                "status": 400,
                "message": "bad prompt",
            },
        ]
    }
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        image = workplace.picture()
        campaign = workplace.campaign(
            [
                {
                    "brief": "moderated",
                    "edit_prompt": "forbidden",
                    "edit_image": image,
                    "compose_prompt": "@Image1",
                },
                {"brief": "refused", "edit_prompt": "nonsense", "edit_image": image},
                {"brief": "fine", "edit_prompt": "warm", "edit_image": image},
            ]
        )

        finished = workplace.run("run", campaign, "--json")

        assert finished.status == 1, finished
        assert finished.document["briefs"] == {"total": 3, "done": 1, "failed": 2, "held": 0}
        out = workplace.out(finished.document["run"])
        outcomes = {(row["brief"], row["stage"]): row["outcome"] for row in rows_of(out / "cost.csv")}
        assert outcomes == {
            ("moderated", "edit"): "failed",
            ("moderated", "compose"): "skipped",
            ("refused", "edit"): "failed",
            ("fine", "edit"): "generated",
        }
        assert charged_millionths(out / "cost.csv") == service.books.charged_total()
        results = {row["brief"]: row for row in rows_of(out / "results.csv")}
        assert results["fine"]["status"] == "done"
        assert "sensitive" in results["moderated"]["error"]
        assert "bad prompt" in finished.stderr


def test_flagged_pictures_and_missing_ones_go_no_further(tmp_path: Path, workplace: Workplace) -> None:
    faults = {
        "rules": [
            {"on": "submit", "prompt_contains": "daring", "do": "nsfw"},
            {"on": "submit", "prompt_contains": "sparse", "do": "fewer_outputs", "outputs": 1},
        ]
    }
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        image = workplace.picture()
        campaign = workplace.campaign(
            [
                {
                    "brief": "flagged",
                    "edit_prompt": "daring",
                    "edit_image": image,
                    "compose_prompt": "@Image1",
                },
                {
                    "brief": "few",
                    "edit_prompt": "sparse",
                    "edit_image": image,
                    "edit_num_images": "3",
                    "compose_prompt": "@Image3",
                },
            ]
        )

        finished = workplace.run("run", campaign, "--json")

        assert finished.status == 5, finished
        assert finished.document["briefs"] == {"total": 2, "done": 0, "failed": 1, "held": 1}
        assert [p.model for p in service.books.predictions()] == ["kwaivgi/kling-image-v3/edit"] * 2
        out = workplace.out(finished.document["run"])
        # What was paid for is kept.
        assert (out / "assets/flagged/edit-1.png").is_file()
        assert (out / "assets/few/edit-1.png").is_file()
        assert charged_millionths(out / "cost.csv") == service.books.charged_total()


def test_two_commands_at_once_pay_for_each_piece_once(workplace: Workplace, service: Simulator) -> None:
    image = workplace.picture()
    campaign = workplace.campaign(
        [{"brief": f"b{n}", "edit_prompt": f"look {n}", "edit_image": image} for n in range(6)]
    )
    commands = [workplace.start("run", campaign, "--json", "--out", f"out{n}") for n in range(2)]
    finished = [command.communicate(timeout=120) for command in commands]

    assert [command.returncode for command in commands] == [0, 0], finished
    assert len(service.books.predictions()) == 6
    sums = [charged_millionths(next((workplace.folder / f"out{n}").glob("*/cost.csv"))) for n in range(2)]
    assert sum(sums) == service.books.charged_total() == 6 * 28_000
