"""The very first commands on a machine: nothing is running yet, and nothing is there."""

from collections import Counter
from pathlib import Path

from campaign_support import Workplace, charged_millionths

DEADLINE_SECONDS = 240


def assets_of(folder: Path) -> dict[str, bytes]:
    (assets,) = folder.glob("*/assets")
    return {str(path.relative_to(assets)): path.read_bytes() for path in assets.glob("*/*")}


def test_two_first_commands_at_once_make_the_same_and_pay_for_it_once(tmp_path: Path) -> None:
    # No server of Prefect's, no simulator, no ledger: both commands begin with starting them.
    workplace = Workplace(tmp_path / "machine")
    image = workplace.picture()
    warm = {"edit_prompt": "warm", "edit_image": image}
    campaign = workplace.campaign(
        [
            {"brief": "a"} | warm | {"compose_prompt": "@Image1 on oak"},
            {"brief": "b", "edit_prompt": "cold", "edit_image": image},
            {"brief": "c"} | warm,
        ]
    )

    commands = [workplace.start_cold("run", campaign, "--json", "--out", f"out{n}") for n in range(2)]
    ended = [command.communicate(timeout=DEADLINE_SECONDS) for command in commands]

    assert [command.returncode for command in commands] == [0, 0], ended
    books = workplace.books()
    assert Counter(prediction.prompt for prediction in books.predictions()) == {
        "warm": 1,
        "cold": 1,
        "@Image1 on oak": 1,
    }
    assert {prediction.status for prediction in books.predictions()} == {"completed"}
    charged = books.charged_total()
    books.close()
    outs = [workplace.folder / f"out{n}" for n in range(2)]
    tables = [charged_millionths(next(out.glob("*/cost.csv"))) for out in outs]
    assert sum(tables) == charged == 3 * 28_000
    first, second = (assets_of(out) for out in outs)
    assert first == second
    made = ("a/edit-1", "a/compose-1", "b/edit-1", "c/edit-1")
    assert {*first} == {f"{name}.png" for name in made}
