"""The fault table: a fault without a row, or a row without a test, fails here."""

import ast
from functools import cache
from typing import get_args

import pytest
from docs_support import ROOT, Table, codes, plain, tables

from simulator import faults
from simulator.faults import FailPrediction
from simulator.switches import Switches
from tasks.paying.retry_by_cause import RETRY_BY_CAUSE

DOCUMENT = ROOT / "docs" / "faults.md"
HEADER = (
    "cause",
    "known as",
    "what the program does",
    "what the user sees",
    "the test that proves it",
)
FAULTS = [table for table in tables(DOCUMENT) if table.header == HEADER]
ROWS = [row for table in FAULTS for row in table.rows]


@cache
def names_of_tests(file: str) -> frozenset[str]:
    """The names of the tests that a file has on its outermost level, which is where they are collected from."""
    path = ROOT / file
    assert path.is_file(), f"{file} is not there"
    return frozenset(
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def known() -> set[str]:
    """Everything that some row is about."""
    return {name for row in ROWS for name in codes(row[1])}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_fault_is_whole_and_proved_by_tests_that_exist(row: tuple[str, ...]) -> None:
    assert all(row), "no cell is empty"
    assert codes(row[1]), "a fault is known by a name"
    named = codes(row[4])
    assert named, "no test proves it"
    assert row[4] == ", ".join(f"`{name}`" for name in named), "this cell holds tests only"
    for name in named:
        file, _, test = name.partition("::")
        assert test in names_of_tests(file), f"{name} is no test"


def test_causes_are_told_once() -> None:
    causes = [row[0] for row in ROWS]
    assert len(causes) == len(set(causes))
    other = {table.header for table in tables(DOCUMENT)} - {HEADER}
    assert other == {("error", "action", "tries")}


def test_every_action_of_the_simulator_is_a_fault_of_the_table() -> None:
    union, _ = get_args(faults.Rule)
    actions = {get_args(rule.model_fields["do"].annotation)[0] for rule in get_args(union)}
    assert len(actions) == len(get_args(union)) > 1
    assert actions - known() == set()


def test_every_open_point_of_the_service_is_a_fault_of_the_table() -> None:
    assert set(Switches.model_fields) - known() == set()


def test_every_bad_end_of_a_prediction_is_a_fault_of_the_table() -> None:
    numbers = {str(code) for code in get_args(FailPrediction.model_fields["code"].annotation)}
    statuses = set(get_args(FailPrediction.model_fields["status"].annotation))
    assert numbers
    assert statuses
    assert (numbers | statuses) - known() == set()


def test_every_cause_of_the_retry_table_is_a_fault_of_the_table() -> None:
    assert {row.cause.__name__ for row in RETRY_BY_CAUSE} - known() == set()


def test_the_retry_table_is_the_code_s() -> None:
    [shown] = [table for table in tables(DOCUMENT) if table.header == ("error", "action", "tries")]
    assert said(shown) == [(row.cause.__name__, row.action.value, str(row.tries)) for row in RETRY_BY_CAUSE]


def said(table: Table) -> list[tuple[str, ...]]:
    return [(plain(row[0]), *row[1:]) for row in table.rows]
