"""Imports run one way, and what has to stay light imports nothing heavy."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from docs_support import ROOT

# Each room, and the rooms that it may use. `data` holds the price lists as package data.
MAY_IMPORT = {
    "flows": {"flows", "tasks", "blocks", "simulator"},
    "tasks": {"tasks", "blocks"},
    "blocks": {"blocks"},
    "simulator": {"simulator"},
    "data": {"data"},
}
# The one module that serves the simulator; a campaign starts it as a process.
SERVES_THE_SIMULATOR = "flows.commands.simulate"
PREFECT_ONLY_IN = {
    "blocks.prefect_blocks",
    "flows.artifacts",
    "flows.campaign",
    "flows.notifications",
    "flows.prefect_app",
    "flows.prefect_server",
    "flows.prefect_watch",
    "flows.through_prefect",
    "tasks.stages",
}
# Where `campaign --help` and `campaign plan` begin.
LIGHT = ("flows.command_line", "flows.commands.plan")
HEAVY = {"prefect", "pandas", "pyarrow"}


def modules(room: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def path_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imported(path: Path, *, at_once: bool = False) -> set[str]:
    """The modules that a module imports; ``at_once``: when it is imported itself, not later and not for checkers."""
    tree = ast.parse(path.read_text("utf-8"))
    found: set[str] = set()
    for node in _at_once(tree) if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: imports are absolute"
            assert node.level == 0, f"{path}: imports are absolute"
            # What is imported from a package may be a module of it.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _at_once(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _at_once(node)


def rooms(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names} & {*MAY_IMPORT, "tests", "benchmarks"}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room: str) -> None:
    found = list(modules(room))
    assert found
    for module, path in found:
        assert rooms(imported(path)) <= MAY_IMPORT[room], module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_nothing_in_a_room_leans_on_what_leans_on_it(room: str) -> None:
    """Folders of a room count as one: whoever reads one of them need not know those above it."""
    leans_on: defaultdict[str, set[str]] = defaultdict(set)
    for module, path in modules(room):
        inside = {part_of(name) for name in imported(path) if name.startswith(f"{room}.") and path_of(name)}
        leans_on[part_of(module)] |= inside - {part_of(module)}
    TopologicalSorter(leans_on).prepare()  # raises CycleError, which names the circle


def part_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_only_the_command_that_serves_it_imports_the_simulator() -> None:
    using = {module for module, path in modules("flows") if "simulator" in rooms(imported(path))}
    assert using == {SERVES_THE_SIMULATOR}


def test_prefect_stays_at_the_rim() -> None:
    using = {
        module
        for room in MAY_IMPORT
        for module, path in modules(room)
        if any(name.partition(".")[0] == "prefect" for name in imported(path))
    }
    assert using == PREFECT_ONLY_IN


def test_plan_and_help_reach_nothing_heavy() -> None:
    """Followed through everything that is imported on the way, packages above a module included."""
    waiting, seen = set(LIGHT), set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        parents = {module.rsplit(".", count)[0] for count in range(1, module.count(".") + 1)}
        path = path_of(module)
        names = imported(path, at_once=True) if path is not None else set()
        heavy = {name for name in names if name.partition(".")[0] in HEAVY}
        assert not heavy, f"{module} imports {', '.join(sorted(heavy))}"
        waiting |= {name for name in names | parents if path_of(name) is not None} - seen
    assert {"tasks.planning.plan", "blocks.ledger.ledger"} <= seen
