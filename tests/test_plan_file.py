"""A plan that is kept and applied: what was approved is run, and whatever differs is named, all at once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from caching_support import (
    PICTURE,
    PlainService,
    forget_how_young,
    plan_of,
    run,
    settings_at,
    without_network_and_prefect,
    write_campaign,
)
from docs_support import ROOT, described
from simulator_support import picture

from blocks.errors import BudgetRefused, InvalidInput
from blocks.money import to_millionths
from blocks.prices import PriceBook
from blocks.settings import Settings, load_settings
from flows.approval import approved_csv, prepared_as_approved, save_plan
from flows.commands.plan import PlanRequest, show_plan
from flows.commands.run import _options
from flows.preparation import prepared
from tasks.planning.plan_file import ApprovedPlan, ApprovedStage, read_plan, refuse_another_file

ROWS = [
    {"brief": "a", "edit_prompt": "warm", "edit_image": "mug.png"},
    {
        "brief": "b",
        "edit_prompt": "cold",
        "edit_image": "cup.png",
        "compose_prompt": "on oak",
        "compose_resolution": "4k",
    },
]


class Desk:
    """A campaign with an approved plan beside it."""

    def __init__(self, base: Path) -> None:
        self.settings = settings_at(base / "home")
        self.folder = base / "campaign"
        self.csv = self.write(ROWS)
        self.plan_file = self.folder / "plan.json"
        (self.folder / "mug.png").write_bytes(picture())
        (self.folder / "cup.png").write_bytes(picture(width=310))

    def write(self, rows: list[dict[str, str]]) -> Path:
        return write_campaign(self.folder / "spring.csv", rows)

    async def approve(self) -> ApprovedPlan:
        async with prepared(self.settings, self.csv) as ready:
            save_plan(ready, self.plan_file)
        return read_plan(self.plan_file)

    async def apply(self, settings: Settings | None = None) -> int:
        """What the approved plan costs now, in millionths."""
        approved = read_plan(self.plan_file)
        csv = approved_csv(approved, self.plan_file, None)
        async with prepared_as_approved(settings or self.settings, approved, self.plan_file, csv) as ready:
            return ready.plan.cost

    async def refusal(self, settings: Settings | None = None) -> list[str]:
        """What differs, a line each."""
        with pytest.raises(BudgetRefused) as refused:
            await self.apply(settings)
        head, *lines = str(refused.value).splitlines()
        assert "Nothing was spent" in head
        return [line.strip() for line in lines]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def service() -> Iterator[PlainService]:
    with without_network_and_prefect() as plain:
        yield plain


async def test_the_file_says_everything_that_is_approved(desk: Desk) -> None:
    approved = await desk.approve()
    plan = await plan_of(desk.settings, desk.csv)
    document = json.loads(desk.plan_file.read_text("utf-8"))
    assert document["csv"] == "spring.csv"
    assert {item["source"] for item in document["inputs"]} == {"mug.png", "cup.png"}
    assert [stage["cost_usd"] for stage in document["stages"]] == ["0.028", "0.028", "0.056"]
    assert [stage["key"] for stage in document["stages"]] == [stage.key for stage in plan.stages]
    assert (document["cost_usd"], document["saved_usd"]) == ("0.112", "0")
    assert approved.most == plan.cost_upper == 4 * PICTURE
    assert ApprovedPlan.model_validate(document) == approved


async def test_what_is_unchanged_is_run_and_so_is_what_became_cheaper(
    desk: Desk, service: PlainService
) -> None:
    await desk.approve()
    assert await desk.apply() == 4 * PICTURE
    await run(desk.settings, desk.csv)
    assert await desk.apply() == 0
    # Both together may stand elsewhere by then.
    moved = desk.folder.rename(desk.folder.with_name("moved"))
    desk.plan_file = moved / "plan.json"
    assert await desk.apply() == 0


async def test_everything_that_differs_is_named_at_once(
    desk: Desk, service: PlainService, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = await run(desk.settings, desk.csv)
    approved = await desk.approve()
    assert approved.most == 0
    [lost] = closed.record.briefs[0].stages[0].assets
    (desk.settings.assets / "objects" / lost.sha256[:2] / lost.sha256).unlink()
    assert await desk.apply() == 0, "what is collected again costs nothing more"
    forget_how_young(desk.settings)
    usual = PriceBook.load()
    compose = "kwaivgi/kling-image-o3/edit"
    dearer = replace(usual, unit_prices=usual.unit_prices | {(compose, "4k"): 60_000})
    monkeypatch.setattr(PriceBook, "load", lambda: dearer)
    (desk.folder / "cup.png").write_bytes(picture(width=320))
    desk.write([*ROWS, {"brief": "c", "edit_prompt": "warm", "edit_image": "cup.png"}])

    lines = await desk.refusal()

    told = {line.partition(":")[0]: line for line in lines}
    assert set(told) == {
        "CSV",
        "row c",
        "input",
        "price",
        "a edit",
        "b edit",
        "b compose",
        "c edit",
        "cost",
        "worst case",
    }
    assert "cup.png has other bytes than approved" in told["input"]
    assert "in 4k costs $0.06 an image, approved was $0.056 (1 stage)" in told["price"]
    assert "asset missing" in told["a edit"]
    assert "approved was cached, at $0" in told["a edit"]
    assert "is not in the approved plan" in told["c edit"]
    assert told["cost"] == "cost: $0.144 now, approved was $0"
    assert len(service.sent) == 3


async def test_what_was_to_be_collected_and_has_to_be_paid_for_by_now_is_named(
    desk: Desk, service: PlainService
) -> None:
    closed = await run(desk.settings, desk.csv)
    [lost] = closed.record.briefs[0].stages[0].assets
    (desk.settings.assets / "objects" / lost.sha256[:2] / lost.sha256).unlink()
    approved = await desk.approve()
    assert (to_millionths(approved.cost_usd), approved.most) == (0, PICTURE)
    assert await desk.apply() == 0
    forget_how_young(desk.settings)
    stage, cost = await desk.refusal()
    assert stage.startswith("a edit: costs $0.028 now (asset missing")
    assert stage.endswith("approved was generate, at $0")
    assert cost == "cost: $0.028 now, approved was $0"


async def test_a_removed_brief_another_service_and_an_invalid_campaign(desk: Desk) -> None:
    await desk.approve()
    simulator = load_settings({"home": desk.settings.home}, env_file=None)
    if simulator.embedded:
        assert await desk.refusal(simulator) == [
            "service: approved for https://api.example.org, and this would run on the built-in simulator"
        ]
    desk.write(ROWS[:1])
    lines = await desk.refusal()
    assert "b edit: was approved, and is not in the campaign any more" in lines
    assert "input: cup.png was approved, and is not used any more" in lines
    assert "row b: was approved, and is gone" in lines
    desk.write(ROWS)
    (desk.folder / "mug.png").unlink()
    [line] = await desk.refusal()
    assert "mug.png” is not there" in line


async def test_the_worst_case_is_the_budget_of_the_run(desk: Desk) -> None:
    approved = await desk.approve()

    def request(**more: Any) -> Any:
        usual = {"csv": None, "plan": desk.plan_file, "budget": None, "partial": False, "out": Path("runs")}
        return SimpleNamespace(**{**usual, "frozen": False, **more})

    assert _options(request(), approved).budget == approved.most
    assert _options(request(budget="0.05"), approved).budget == to_millionths("0.05")
    assert _options(request(budget="5"), approved).budget == approved.most
    assert _options(request(csv=desk.csv), approved).csv == desk.csv
    with pytest.raises(InvalidInput, match=r"is for .*spring\.csv, and not for other\.csv"):
        _options(request(csv=Path("other.csv")), approved)
    with pytest.raises(InvalidInput, match="name a campaign's CSV"):
        _options(request(plan=None), None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("{", "is no plan of this version"),
        ('{"kind": "kling-campaigns plan", "version": 2}', "is no plan of this version"),
        ("[]", "is no plan of this version"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: str | None, told: str) -> None:
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInput, match=told) as refused:
        read_plan(file)
    assert "campaign plan CSV --save FILE" in str(refused.value)


async def test_each_cell_that_differs_is_named(desk: Desk) -> None:
    long = (
        "a mug on a wooden table in the first light of a day in May, with steam over it, seen from the side"
    )
    desk.write([ROWS[0] | {"edit_prompt": long}, ROWS[1]])
    await desk.approve()
    desk.write(
        [ROWS[0] | {"edit_prompt": long.replace("May", "June\x1b[31m")}, ROWS[1] | {"compose_resolution": ""}]
    )
    lines = await desk.refusal()
    rows = [line for line in lines if line.startswith("row ")]
    before = "…ht of a day in May, with steam over it, seen from the side"
    after = "…ht of a day in June[U+001B][31m, with steam over it, seen from the …"
    assert rows == [
        f"row a: edit_prompt was “{before}”, and is “{after}” now",
        "row b: compose_resolution was “4k”, and is blank now",
    ]


async def test_the_same_rows_in_another_order_are_said_to_be_the_same(desk: Desk) -> None:
    await desk.approve()
    desk.write(ROWS[::-1])
    [line] = await desk.refusal()
    assert "every row says the same: their order, or the form of the file, is another" in line


@pytest.mark.parametrize("name", ["spring.csv", "mug.png", "."])
async def test_no_other_file_is_written_over(desk: Desk, name: str) -> None:
    file = desk.folder / name
    before = file.read_bytes() if file.is_file() else None
    request = PlanRequest(desk.csv, file, quote=False, as_json=True, account=None, workspace=None)
    with pytest.raises(InvalidInput, match="name a file of its own"):
        await show_plan(request)
    assert before is None or file.read_bytes() == before
    await desk.approve()
    refuse_another_file(desk.plan_file)
    refuse_another_file(desk.folder / "new.json")


def test_every_field_of_the_file_is_described() -> None:
    planning = ROOT / "docs" / "planning.md"
    for column, model in (("field of a plan", ApprovedPlan), ("field of a stage", ApprovedStage)):
        named = {name for names in described(planning, column, "means") for name in names.split(", ")}
        assert named == set(model.model_fields)
