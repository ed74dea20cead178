"""A damaged asset is noticed wherever it is used, set aside, and had again: free of charge while that is possible."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from quiet_scene import QuietScene

from blocks.assets import AssetStore

TWO_STAGES = {"compose_prompt": "@Image1 on oak"}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path)
    try:
        yield scene
    finally:
        scene.close()


@pytest.fixture
def done(scene: QuietScene) -> QuietScene:
    """One brief of two stages, made and paid for; the run's folder is gone, so that nothing else has its bytes."""
    scene.briefs("a", **TWO_STAGES)
    assert scene.run() == 0, scene.said
    scene.before = scene.assets()  # type: ignore[attr-defined] # what must be there again
    shutil.rmtree(scene.folder / "runs")
    return scene


def objects(scene: QuietScene) -> dict[str, Path]:
    """The store's files, by stage."""
    store = AssetStore(scene.home / "assets")
    return {stage.stage: store.path(asset.sha256) for stage in scene.last().stages for asset in stage.assets}


def flip_a_bit(path: Path) -> None:
    """Of the same length: only who reads it can tell."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def check(scene: QuietScene, *, billed: int = 2) -> None:
    """Everything is as it was, by the service's books too; what was damaged lies aside."""
    assert len(scene.billed) == billed
    assert scene.assets() == scene.before  # type: ignore[attr-defined] # set by the fixture
    assert scene.last().exit_status == 0
    assert sum(stage.charged for stage in scene.last().stages) == 0


@pytest.mark.parametrize("harm", [flip_a_bit, cut_off, empty])
def test_a_cached_hit_is_read_before_it_counts(done: QuietScene, harm: Callable[[Path], None]) -> None:
    harm(objects(done)["edit"])
    assert done.run() == 0, done.said
    check(done)
    outcomes = {stage.stage: stage.outcome for stage in done.last().stages}
    assert outcomes == {"edit": "resumed", "compose": "cached"}
    assert len(list((done.home / "assets" / "quarantine").iterdir())) == 1
    # One of another length was missed by the plan already, which said so; only reading finds a flipped bit.
    noted = any("damaged" in note for note in done.last().notes)
    assert noted is (harm is flip_a_bit)


def test_a_past_run_s_folder_is_asked_before_the_service(scene: QuietScene) -> None:
    scene.briefs("a")
    assert scene.run() == 0, scene.said
    scene.before = scene.assets()  # type: ignore[attr-defined] # what must be there again
    flip_a_bit(objects(scene)["edit"])
    downloads = len(scene.service.books.calls("/api/v3/predictions"))
    assert scene.run() == 0, scene.said
    check(scene, billed=1)
    assert len(scene.service.books.calls("/api/v3/predictions")) == downloads
    # A copy that its owner has changed is nobody's original.
    run = scene.folder / "runs"
    for copy in run.glob("*/assets/a/*"):
        flip_a_bit(copy)
    flip_a_bit(objects(scene)["edit"])
    assert scene.run() == 0, scene.said
    check(scene, billed=1)


def test_an_input_of_a_later_stage_is_read_before_it_is_uploaded(scene: QuietScene) -> None:
    """Damaged between the edit's end and the composition's start."""
    scene.briefs("a", **TWO_STAGES)
    assert scene.run(first="test_damaged_assets:damage_what_is_uploaded") == 0, scene.said
    assert len(scene.billed) == 2
    assert len(list((scene.home / "assets" / "quarantine").iterdir())) == 1
    undisturbed = scene.assets()
    shutil.rmtree(scene.home)
    shutil.rmtree(scene.folder / "runs")
    # The same campaign again, on a service that makes the same bytes of the same inputs.
    assert scene.run() == 0, scene.said
    assert scene.assets() == undisturbed


def test_what_is_placed_into_the_run_s_folder_is_what_was_paid_for(scene: QuietScene) -> None:
    scene.briefs("a", **TWO_STAGES)
    assert scene.run(first="test_damaged_assets:damage_what_is_placed") == 0, scene.said
    assert len(scene.billed) == 2
    assert len(scene.assets()) == 2
    scene.before = scene.assets()  # type: ignore[attr-defined] # what must be there again
    assert scene.run() == 0, scene.said
    check(scene)


def test_after_seven_days_it_is_paid_for_again_and_within_the_budget_only(done: QuietScene) -> None:
    flip_a_bit(objects(done)["compose"])
    forget_outputs(done)
    assert done.run(CAMPAIGN_BUDGET_PER_DAY="0.01") == 3, done.said
    assert len(done.billed) == 2
    assert done.run() == 0, done.said
    assert done.billed == ["@Image1 on oak", "@Image1 on oak", "a"]
    assert done.assets() == done.before  # type: ignore[attr-defined] # set by the fixture


def forget_outputs(scene: QuietScene) -> None:
    """Eight days go by: the service has forgotten, and the ledger knows how long ago it was."""
    books = scene.service.books
    books.delete([prediction.id for prediction in books.predictions()])
    with scene.ledger() as ledger, ledger._database.write() as connection:
        for column in ("submitted_at", "service_created_at", "reserved_at", "intent_at"):
            connection.exec_driver_sql(f"UPDATE attempts SET {column} = datetime({column}, '-8 days')")


def damage_what_is_uploaded() -> None:
    """In the forked process: the first asset that is about to be sent as an input is damaged just before."""
    from tasks.paying import uploading  # noqa: PLC0415 - in the forked process only

    upload = uploading._upload
    harmed: list[Path] = []

    async def harming(bench: object, item: object) -> str:
        path = bench.store.path(item.sha256)  # type: ignore[attr-defined] # a workbench and an input
        if path.exists() and not harmed:
            harmed.append(path)
            flip_a_bit(path)
        return await upload(bench, item)  # type: ignore[arg-type] # a workbench and an input

    uploading._upload = harming


def damage_what_is_placed() -> None:
    """In the forked process: the first asset that goes into the run's folder is damaged just before."""
    place = AssetStore.place
    harmed: list[str] = []

    def harming(store: AssetStore, sha256: str, destination: Path) -> None:
        if not harmed:
            harmed.append(sha256)
            flip_a_bit(store.path(sha256))
        place(store, sha256, destination)

    AssetStore.place = harming  # type: ignore[method-assign,assignment] # in the forked process only
