"""When the rules of the fault file fire, and on which calls."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from simulator_support import simulator_thread

from simulator.books import Books
from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT
from simulator.faults import load_faults
from simulator.rules import RuleBook, Subject

SUBMIT = f"/api/v3/{IMAGE_EDIT}"


PATHS = {
    "submit": ("POST", SUBMIT),
    "history": ("POST", "/api/v3/predictions"),
    "upload": ("POST", "/api/v3/media/uploads"),
    "put": ("PUT", "/files/incoming/unknown"),
    "balance": ("GET", "/api/v3/balance"),
    "price": ("POST", "/api/v3/model/price"),
    "billings": ("POST", "/api/v3/billings/search"),
}


@pytest.mark.parametrize("on", list(PATHS))
def test_every_kind_of_call_can_fail(tmp_path: Path, on: str) -> None:
    rule = {"on": on, "nth": [1], "do": "http_status", "status": 418}
    with simulator_thread(tmp_path, faults={"rules": [rule]}) as running:
        first, second = (running.http.request(*PATHS[on], json={}) for _ in range(2))
        assert first.status_code == 418
        assert second.status_code != 418


def fired(home: Path, rule: dict[str, Any], calls: int) -> list[int]:
    """Numbers of the calls on which a rule fires, counted with what the books in ``home`` have counted
    before.
    """
    subject = Subject("submit", IMAGE_EDIT, "a prompt")
    with closing(Books.open(home)) as books:
        book = RuleBook(load_faults({"rules": [rule]}), books.journal)
        return [number for number in range(1, calls + 1) if book.decide(subject).action is not None]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"nth": [2, 3, 9]}, [2, 3]),
        ({"every": 3}, [3, 6]),
        ({"every": 2, "times": 2}, [2, 4]),
        ({"probability": 0}, []),
        ({"probability": 1, "times": 1}, [1]),
        ({"prompt_contains": "another"}, []),
        ({"model": IMAGE_COMPOSITION}, []),
    ],
)
def test_when_a_rule_fires(tmp_path: Path, choice: dict[str, Any], numbers: list[int]) -> None:
    assert fired(tmp_path, {"on": "submit", "do": "reset", **choice}, 7) == numbers


def test_chance_is_repeatable_by_its_seed(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> list[int]:
        rule = {"on": "submit", "do": "reset", "probability": 0.5, "seed": seed}
        return fired(tmp_path / name, rule, 60)

    assert run("a", 1) == run("b", 1)
    assert run("c", 2) != run("d", 1)
    assert 10 < len(run("e", 3)) < 50


def test_counts_outlive_a_restart(tmp_path: Path) -> None:
    rule = {"on": "submit", "do": "reset", "nth": [3], "times": 1}
    assert fired(tmp_path, rule, 2) == []
    assert fired(tmp_path, rule, 2) == [1]
