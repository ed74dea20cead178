"""The plan against a real ledger and a real asset store: what is there, what is new, and what it costs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from campaign_support import write_clip
from ledger_support import Worker, sha256_of
from simulator_support import picture

from blocks.assets import AssetStore
from blocks.ledger import AttemptState, GenerationWork, Ledger, StoredAsset
from blocks.ledger import WorkInput as LedgerInput
from blocks.prices import PriceBook
from tasks.briefs.brief import Brief, Campaign
from tasks.briefs.inputs import Inputs, read_and_check
from tasks.briefs.reading import COLUMNS
from tasks.models import Stage
from tasks.planning.chain import Part, inputs_of, key_of
from tasks.planning.plan import Plan, PlannedStage
from tasks.planning.plan_reasons import Cause
from tasks.planning.planner import Planner
from tasks.work import WorkInput

SERVICE = "https://api.example.org"
PICTURE = 28_000
SECOND = 360_000
EDIT = {"edit_prompt": "warm", "edit_image": "mug.png"}
COMPOSE = {"compose_prompt": "on marble"}
VIDEO = {"video_prompt": "snow", "video": "clip.mp4"}
CHAIN = EDIT | COMPOSE | VIDEO


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures and two clips, one of 4.25 s and one of 2 s."""
    folder = tmp_path_factory.mktemp("media")
    for number, name in enumerate(("mug.png", "cup.png", "jug.png")):
        (folder / name).write_bytes(picture(width=300 + 10 * number))
    (folder / "same.png").write_bytes(picture())
    write_clip(folder / "clip.mp4", seconds=4.25, sound=False)
    write_clip(folder / "short.mp4", seconds=2, sound=False)
    return folder


@dataclass
class Place:
    """Campaigns over the same media, and a ledger and a store in which work can be put."""

    folder: Path
    media: Path
    ledger: Ledger
    store: AssetStore
    worker: Worker
    campaign: Campaign
    inputs: Inputs

    async def read(self, *rows: Mapping[str, str]) -> None:
        """The campaign that is planned next; the briefs are called a, b, c …"""
        lines = [",".join(COLUMNS)]
        for name, row in zip("abcdefgh", rows, strict=False):
            cells = {"brief": name, **row}
            lines.append(",".join(f'"{cells.get(column, "")}"' for column in COLUMNS))
        path = self.media / f"{self.folder.name}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.campaign, self.inputs = await read_and_check(path)

    def plan(self, *, service: str = SERVICE, ledger: bool = True) -> Plan:
        prices = PriceBook.load()
        books = self.ledger if ledger else None
        return Planner(service, self.inputs, prices, books, self.store).plan(self.campaign)

    def part(self, brief: str, stage: Stage) -> tuple[Brief, Part]:
        found = next(one for one in self.campaign.briefs if one.brief == brief)
        return found, next(part for part in found.parts if part.request.stage is stage)

    def work(self, name: str, stage: Stage, carried: tuple[str, ...] = ()) -> GenerationWork:
        """What a run would ask for; ``carried`` are the hashes of the pictures of the stage before."""
        brief, part = self.part(name, stage)
        before = tuple(WorkInput(role="images", sha256=sha, source="") for sha in carried)
        sent = inputs_of(part, self.inputs, before)
        return GenerationWork(
            key=key_of(SERVICE, part.request, sent, brief.take),
            service=SERVICE,
            provider="simulator",
            model=part.request.model_id,
            stage=stage.value,
            request=part.request.parameters(),
            inputs=tuple(LedgerInput(item.role, item.sha256) for item in sent),
            take=brief.take,
            prompt=part.request.prompt,
        )

    def make(
        self, name: str, stage: Stage, carried: tuple[str, ...] = (), *, count: int = 1, flagged: bool = False
    ) -> tuple[str, ...]:
        """Brings the work to its end, its pictures in the store; gives their hashes."""
        work = self.work(name, stage, carried)
        kept = []
        for number in range(count):
            path = self.store.incoming_path()
            path.write_bytes(f"{work.key} {number}".encode())
            kept.append(self.store.keep(path))
        self.worker.claim(work)
        attempt = self.worker.reserve(work)
        self.worker.intend(attempt)
        self.ledger.submitted(attempt.id, f"prediction-of-{work.key}")
        self.ledger.completed(attempt.id, outputs=["https://cdn.example.org/1.png"] * count)
        assets = [
            StoredAsset(sha, "image/png", size, 1360, 768, flagged_nsfw=flagged and number == count - 1)
            for number, (sha, size) in enumerate(kept)
        ]
        self.ledger.stored(attempt.id, assets, run_id=self.worker.run_id)
        return tuple(sha for sha, _ in kept)


@pytest.fixture
def place(tmp_path: Path, media: Path) -> Iterator[Place]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        nothing = Campaign(name="", path=tmp_path, sha256="", columns=(), briefs=())
        store = AssetStore(tmp_path / "assets")
        yield Place(tmp_path, media, ledger, store, Worker.of(ledger), nothing, Inputs([]))


def told(plan: Plan) -> dict[str, tuple[str, str]]:
    return {f"{stage.brief} {stage.stage}": (stage.action, stage.reason) for stage in plan.stages}


def check_sums(plan: Plan) -> None:
    """The document's totals are the exact sums of what it says stage by stage."""
    document = json.loads(json.dumps(plan.document()))
    costs = [Decimal(stage["cost_usd"]) for stage in document["stages"]]
    assert Decimal(document["cost_usd"]) == sum(costs)
    assert all(
        cost == 0
        for cost, stage in zip(costs, document["stages"], strict=True)
        if stage["action"] != "generate"
    )
    assert Decimal(document["cost_upper_bound_usd"]) >= sum(costs)
    saved = sum(stage.list_cost for stage in plan.stages if stage.action == "cached")
    assert Decimal(document["saved_usd"]) * 1_000_000 == saved


async def test_everything_is_new_and_later_stages_wait(place: Place) -> None:
    await place.read(CHAIN)
    plan = place.plan()
    assert told(plan) == {
        "a edit": ("generate", "new"),
        "a compose": ("generate", "new; waits for the pictures of the edit stage"),
        "a video": ("generate", "new; waits for the pictures of the compose stage"),
    }
    assert plan.cost == 2 * PICTURE + SECOND * 425 // 100
    assert [stage.key is None for stage in plan.stages] == [False, True, True]
    check_sums(plan)


async def test_the_document_is_the_contract_s(place: Place) -> None:
    await place.read(EDIT | {"edit_num_images": "3"} | VIDEO)
    plan = place.plan()
    assert plan.document() == {
        "campaign": place.folder.name,
        "briefs": 1,
        "stages": [
            {
                "brief": "a",
                "stage": "edit",
                "model": "kwaivgi/kling-image-v3/edit",
                "action": "generate",
                "reason": "new",
                "causes": ["new"],
                "since_run": None,
                "quantity": "3",
                "unit": "image",
                "cost_usd": "0.084",
                "cost_upper_bound_usd": "0.084",
                "saved_usd": "0",
            },
            {
                "brief": "a",
                "stage": "video",
                "model": "kwaivgi/kling-video-o3-pro/video-edit",
                "action": "generate",
                "reason": "new; waits for the pictures of the edit stage",
                "causes": ["new"],
                "since_run": None,
                "quantity": "4.25",
                "unit": "second",
                "cost_usd": "1.53",
                "cost_upper_bound_usd": "1.8",
                "saved_usd": "0",
            },
        ],
        "cost_usd": "1.614",
        "cost_upper_bound_usd": "1.884",
        "saved_usd": "0",
        "notes": [
            "a: mug.png is 300x300, and edit_aspect_ratio is 16:9: the edit reframes it",
            "a: the edited pictures are 16:9, and clip.mp4 is 720x720",
            "a: 4.25 billed seconds; $1.8 should the service round them up",
        ],
    }
    assert json.loads(json.dumps(plan.document())) == plan.document()


async def test_what_was_made_is_cached_stage_by_stage(place: Place) -> None:
    await place.read(CHAIN)
    edited = place.make("a", Stage.EDIT)
    plan = place.plan()
    made_in = f"made in run {place.worker.run_id}"
    assert told(plan)["a edit"] == ("cached", made_in)
    # Its pictures are known: the next stage waits for nothing.
    assert told(plan)["a compose"] == ("generate", "new")
    assert (plan.find("a", Stage.COMPOSE).key, plan.saved) == (
        place.work("a", Stage.COMPOSE, edited).key,
        PICTURE,
    )
    composed = place.make("a", Stage.COMPOSE, edited)
    place.make("a", Stage.VIDEO, composed)
    plan = place.plan()
    assert set(told(plan).values()) == {("cached", made_in)}
    assert (plan.cost, plan.cost_upper, plan.saved) == (0, 0, 2 * PICTURE + SECOND * 425 // 100)
    check_sums(plan)


async def test_another_service_s_results_never_serve(place: Place) -> None:
    await place.read(EDIT)
    place.make("a", Stage.EDIT)
    assert place.plan().cost == 0
    assert place.plan(service="simulator").cost == PICTURE
    assert place.plan(service="https://api.example.org:8443").cost == PICTURE


async def test_without_a_ledger_everything_is_new(place: Place) -> None:
    await place.read(EDIT)
    place.make("a", Stage.EDIT)
    assert told(place.plan(ledger=False)) == {"a edit": ("generate", "new")}


async def test_equal_chains_are_paid_once_though_nothing_is_made_yet(place: Place) -> None:
    await place.read(CHAIN, CHAIN, CHAIN | {"compose_prompt": "on oak"}, CHAIN | {"edit_image": "same.png"})
    plan = place.plan()
    first = {stage: entry for stage, entry in told(plan).items() if stage.startswith("a ")}
    assert {action for action, _ in first.values()} == {"generate"}
    equal = ("cached", "equal to brief a")
    for name in ("b", "d"):  # d names another file with the same bytes
        assert [told(plan)[f"{name} {stage}"] for stage in Stage] == [equal] * 3
    # c goes its own way from the composition on, and so does everything that comes of it.
    assert told(plan)["c edit"] == equal
    assert told(plan)["c compose"] == ("generate", "new; waits for the pictures of the edit stage")
    assert told(plan)["c video"] == ("generate", "new; waits for the pictures of the compose stage")
    assert plan.cost == 3 * PICTURE + 2 * (SECOND * 425 // 100)
    check_sums(plan)


async def test_equal_work_in_several_pictures_and_in_another_order_of_references(place: Place) -> None:
    two = EDIT | {"edit_num_images": "2"} | COMPOSE
    await place.read(
        two,
        two | {"compose_images": "cup.png|jug.png"},
        two | {"compose_images": "jug.png|cup.png"},
        EDIT | {"take": "2"},
        EDIT,
    )
    plan = place.plan()
    assert told(plan)["b edit"] == ("cached", "equal to brief a")
    assert told(plan)["c compose"][0] == "generate"
    assert told(plan)["d edit"] == ("generate", "new")
    assert told(plan)["e edit"] == ("generate", "new")  # one picture is not the same work as two
    check_sums(plan)


async def test_a_raised_take_is_new_work_and_so_is_all_that_comes_of_it(place: Place) -> None:
    await place.read(EDIT | COMPOSE)
    place.make("a", Stage.COMPOSE, place.make("a", Stage.EDIT))
    assert place.plan().cost == 0
    await place.read(EDIT | COMPOSE | {"take": "2"})
    assert told(place.plan()) == {
        "a edit": ("generate", "new"),
        "a compose": ("generate", "new; waits for the pictures of the edit stage"),
    }


async def test_a_changed_prompt_runs_its_stage_and_what_comes_of_it(place: Place) -> None:
    await place.read(EDIT | COMPOSE, VIDEO)
    place.make("a", Stage.COMPOSE, place.make("a", Stage.EDIT))
    place.make("b", Stage.VIDEO)
    await place.read(
        EDIT | COMPOSE | {"compose_prompt": "on oak"}, VIDEO | {"video_keep_original_sound": "false"}
    )
    assert {name: action for name, (action, _) in told(place.plan()).items()} == {
        "a edit": "cached",
        "a compose": "generate",
        "b video": "generate",
    }


async def test_what_is_held_blocks_the_stages_after_it_and_costs_nothing(place: Place) -> None:
    await place.read(CHAIN, EDIT | {"edit_prompt": "cold"}, CHAIN)
    place.worker.bring(place.work("a", Stage.EDIT), AttemptState.HELD)
    plan = place.plan()
    held = ("blocked", "an earlier attempt of the edit stage is held for a person: see `campaign reconcile`")
    for name in ("a", "c"):
        assert [told(plan)[f"{name} {stage}"] for stage in Stage] == [held] * 3
    assert told(plan)["b edit"] == ("generate", "new")
    assert (plan.cost, plan.cost_upper, plan.saved) == (PICTURE, PICTURE, 0)
    check_sums(plan)


async def test_a_held_composition_leaves_the_edit_alone(place: Place) -> None:
    await place.read(CHAIN)
    edited = place.make("a", Stage.EDIT)
    place.worker.bring(place.work("a", Stage.COMPOSE, edited), AttemptState.HELD)
    actions = [action for action, _ in told(place.plan()).values()]
    assert actions == ["cached", "blocked", "blocked"]


@pytest.mark.parametrize("state", [AttemptState.INTENT, AttemptState.UNKNOWN])
async def test_a_request_without_an_answer_is_said_to_be_looked_for_first(
    place: Place, state: AttemptState
) -> None:
    await place.read(CHAIN)
    place.worker.bring(place.work("a", Stage.EDIT), state)
    action, reason = told(place.plan())["a edit"]
    assert action == "generate"
    assert reason == (
        f"its request in run {place.worker.run_id} has had no answer: looked for in the account's history first, and "
        "sent again only where it never arrived"
    )


@pytest.mark.parametrize(
    "state", ["reserved", "intent", "unknown", "submitted", "completed", "failed", "withdrawn"]
)
async def test_what_is_on_its_way_or_failed_is_generated(place: Place, state: str) -> None:
    await place.read(EDIT)
    place.worker.bring(place.work("a", Stage.EDIT), AttemptState(state))
    assert told(place.plan())["a edit"][0] == "generate"
    assert place.plan().cost == PICTURE


async def test_a_flagged_picture_goes_no_further(place: Place) -> None:
    await place.read(CHAIN)
    place.make("a", Stage.EDIT, flagged=True)
    plan = place.plan()
    flagged = ("blocked", "the service flagged a picture of the edit stage")
    assert told(plan)["a edit"][0] == "cached"
    assert told(plan)["a compose"] == told(plan)["a video"] == flagged
    assert plan.cost == 0
    check_sums(plan)


async def test_fewer_pictures_than_the_next_stage_counts_on(place: Place) -> None:
    await place.read(EDIT | {"edit_num_images": "3"} | COMPOSE)
    place.make("a", Stage.EDIT, count=2)
    plan = place.plan()
    assert [action for action, _ in told(plan).values()] == ["cached", "blocked"]
    assert "fewer pictures" in told(plan)["a compose"][1]
    assert plan.cost == 0


async def test_fewer_pictures_than_asked_for_but_enough_for_the_next_stage(place: Place) -> None:
    await place.read(EDIT | {"edit_num_images": "5"} | VIDEO)
    place.make("a", Stage.EDIT, count=4)
    assert [action for action, _ in told(place.plan()).values()] == ["cached", "generate"]


@pytest.mark.parametrize("damage", ["missing", "truncated"])
async def test_an_asset_that_is_gone_is_collected_once_and_priced_for_the_worst_case(
    place: Place, damage: str
) -> None:
    await place.read(EDIT, EDIT)
    [sha] = place.make("a", Stage.EDIT)
    path = place.store.path(sha)
    path.unlink()
    if damage == "truncated":
        path.write_bytes(b"half")
    plan = place.plan()
    assert {name: action for name, (action, _) in told(plan).items()} == {
        "a edit": "generate",
        "b edit": "cached",
    }
    assert "asset missing" in told(plan)["a edit"][1]
    assert told(plan)["b edit"][1] == "equal to brief a"
    assert [stage.causes for stage in plan.stages] == [(Cause.MISSING,), (Cause.EQUAL,)]
    assert (plan.cost, plan.cost_upper, plan.saved) == (0, PICTURE, PICTURE)
    check_sums(plan)


@pytest.mark.parametrize(
    ("clip", "quantity", "cost", "upper"),
    [("clip.mp4", "4.25", 1_530_000, 1_800_000), ("short.mp4", "3", 1_080_000, 1_080_000)],
)
async def test_a_clip_s_price_and_its_upper_bound(
    place: Place, clip: str, quantity: str, cost: int, upper: int
) -> None:
    await place.read(VIDEO | {"video": clip})
    plan = place.plan()
    [stage] = plan.stages
    assert (format(stage.quantity, "f"), stage.unit) == (quantity, "second")
    assert (plan.cost, plan.cost_upper) == (cost, upper)
    rounded = [note for note in plan.notes if "round them up" in note]
    assert bool(rounded) == (upper > cost)


@pytest.mark.parametrize(("resolution", "price"), [("1k", 28_000), ("2k", 28_000), ("4k", 56_000)])
async def test_the_price_goes_by_the_resolution(place: Place, resolution: str, price: int) -> None:
    await place.read(
        {
            "compose_prompt": "x",
            "compose_images": "mug.png",
            "compose_resolution": resolution,
            "compose_num_images": "9",
        }
    )
    [stage] = place.plan().stages
    assert (stage.unit_price, stage.list_cost, stage.list_cost_upper) == (price, 9 * price, 9 * price)


async def test_the_notes_say_what_is_left_out_skipped_and_rounded(place: Place) -> None:
    square = EDIT | {"edit_aspect_ratio": "1:1"}
    await place.read(
        square | {"edit_num_images": "6"} | VIDEO | {"video_images": "cup.png"},
        square | {"compose_images": "cup.png", "video": "clip.mp4", "video_images": "jug.png"},
        VIDEO | {"video": "short.mp4", "edit_image": "mug.png"},
    )
    assert list(place.plan().notes) == [
        "a: 3 of 6 edited pictures go on to the video, the first that fit beside the 1 named; 3 left out",
        "a: 4.25 billed seconds; $1.8 should the service round them up",
        "b: compose_images is given, but compose_prompt is blank: the compose stage is skipped",
        "b: video is given, but video_prompt is blank: the video stage is skipped",
        "b: video_images is given, but video_prompt is blank: the video stage is skipped",
        "c: edit_image is given, but edit_prompt is blank: the edit stage is skipped",
        *place.inputs.notes,
    ]
    assert any("short.mp4" in note and "3 s" in note for note in place.inputs.notes)


async def test_the_notes_name_unused_references_shapes_and_equal_work(place: Place) -> None:
    named = {"compose_prompt": "@Image1 on marble", "compose_images": "cup.png|jug.png"}
    tall = EDIT | {"edit_aspect_ratio": "1:1"} | named | {"compose_aspect_ratio": "9:16"}
    other = {"compose_prompt": "the mug", "compose_images": "cup.png"}
    await place.read(tall, tall, tall, tall, tall, other, other | {"compose_num_images": "2"})
    unused = "@Image2 (cup.png), @Image3 (jug.png), which the model is given all the same"
    assert list(place.plan().notes) == [
        f"a, b, c and 2 more: the compose prompt does not name {unused}",
        "a, b, c and 2 more: the edited pictures are 1:1, and compose_aspect_ratio is 9:16",
        "b, c, d and 1 more: edit and compose equal to that of a, paid once",
    ]


async def test_the_stages_stand_in_the_order_of_the_briefs(place: Place) -> None:
    await place.read(VIDEO, CHAIN, EDIT)
    assert [(one.brief, one.stage.value) for one in place.plan().stages] == [
        ("a", "video"),
        ("b", "edit"),
        ("b", "compose"),
        ("b", "video"),
        ("c", "edit"),
    ]


async def test_planning_changes_nothing(place: Place) -> None:
    await place.read(CHAIN)
    place.worker.bring(place.work("a", Stage.EDIT), AttemptState.SUBMITTED)
    before = place.ledger.attempts()
    assert place.plan().document() == place.plan().document()
    assert place.ledger.attempts() == before
    assert not place.store.root.exists()


def test_sums_are_exact_for_any_amounts() -> None:
    def stage(action: Any, cost: int) -> PlannedStage:
        return PlannedStage(
            "a", Stage.EDIT, "m", action, "r", Decimal(1), "image", cost, cost, cost + 1, sha256_of(str(cost))
        )

    odd = [1, 333_333, 2_880_001, 10**13 + 7]
    plan = Plan(
        "c", 1, tuple(stage(action, cost) for action in ("generate", "cached", "blocked") for cost in odd), ()
    )
    document = plan.document()
    assert document["cost_usd"] == document["saved_usd"] == "10000003.213342"
    assert document["cost_upper_bound_usd"] == "10000003.213346"
