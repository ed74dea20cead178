"""Documents say what the code does: commands, exit statuses, files, deployment, links, decisions."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # Prefect brings it, without type information
from docs_support import DOCUMENTS, ROOT, anchors, code_blocks, codes, links, plain, prose, table, tables
from record_samples import Assets, every_outcome

from blocks.settings import Settings
from flows.campaign import campaign
from flows.command_line import app
from tasks.endings import PRECEDENCE, ExitStatus
from tasks.page import PageContext
from tasks.page.thumbnails import Thumbnails
from tasks.provenance.manifest import manifest
from tasks.run_files.run_folder import write_run_folder

DOCS = ROOT / "docs"
README = ROOT / "README.md"
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them
# What help calls by the kind of value only.
VALUES = {"--port": "N", "--key": "K"}


# The front page.


def test_the_readme_begins_with_exactly_two_commands() -> None:
    shell = [block.text for block in code_blocks(README) if block.language in {"sh", "bash", "console", ""}]
    assert shell == ["make run\nmake test\n"]
    assert code_blocks(README)[0].language == "sh"
    title, _, *three_lines = README.read_text("utf-8").split("```", maxsplit=1)[0].strip().splitlines()
    assert title.startswith("# ")
    assert len(three_lines) == 3


def usage(name: str) -> str:
    """A command with its arguments and options, as a line of help would have it."""
    parts = []
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            parts.append(parameter.metavar or parameter.name.upper())
        else:
            option = parameter.opts[0]
            value = "" if parameter.is_flag else f" {parameter.metavar or VALUES[option]}"
            parts.append(f"[{option}{value}]")
    return " ".join(["campaign", name, *parts])


def test_the_readme_lists_every_command_with_its_options() -> None:
    expected = [(usage(name), command.help) for name, command in COMMANDS.items()]
    assert [(plain(use), says) for use, says in table(README, "command").rows] == expected


def test_the_readme_lists_every_exit_status_and_their_order() -> None:
    assert [int(name) for name in table(README, "exit status").names] == sorted(ExitStatus)
    assert f"the first of {', '.join(str(int(status)) for status in PRECEDENCE)} wins" in README.read_text(
        "utf-8"
    )


def test_the_readme_and_the_tables_page_list_every_file_of_a_run(tmp_path: Path) -> None:
    assets = Assets()
    record = every_outcome(tmp_path, assets)
    page = PageContext(thumbnails=Thumbnails(tmp_path / "thumbnails"))
    write_run_folder(record, tmp_path / "run", place_asset=assets.place, page=page)
    written = {path.name for path in (tmp_path / "run").iterdir()}
    short = {name for names in table(README, "file").names for name in names.split(", ")}
    assert {name.split("/")[0] for name in short} == written
    assert {name.strip("/") for name in table(DOCS / "tables.md", "file").names} == written
    keys = [
        key for names in table(DOCS / "tables.md", "key of manifest.json").names for key in names.split(", ")
    ]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(manifest(record))


# Deploying, and everything that all documents have in common.


def test_the_deployment_is_described() -> None:
    text = prose(DOCS / "deploying.md")
    deployment = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"][0]
    schedule = deployment["schedules"][0]
    pool = deployment["work_pool"]["name"]
    for value in (deployment["name"], schedule["cron"], schedule["timezone"], pool):
        assert f"`{value}`" in text, value
    shell = "".join(block.text for block in code_blocks(DOCS / "deploying.md") if block.language == "sh")
    assert f"prefect deploy --name {deployment['name']}" in shell
    assert f"prefect work-pool create {pool} " in shell
    assert table(DOCS / "deploying.md", "parameter").names == list(campaign.parameters.properties)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve_and_tables_are_whole(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = document if not path else document.parent / path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    for found in tables(document):
        assert {len(row) for row in found.rows} == {len(found.header)}, found.header


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_commands_variables_and_files_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [line for block in code_blocks(document) for line in block.text.splitlines()]
    for code in [*codes(prose(document)), *lines]:
        if command := re.search(r"(?:^|[ /])campaign ([a-z]+)\b", code):
            assert command[1] in COMMANDS, code
            named = set(re.findall(r"(--[a-z]+(?:-[a-z]+)*)", code.partition("campaign ")[2]))
            known = {option for parameter in COMMANDS[command[1]].params for option in parameter.opts}
            assert named <= known | {"--help"}, code
        if target := re.match(r"make ([a-z-]+)$", code):
            assert target[1] in targets, code
        if re.fullmatch(r"(?:flows|tasks|blocks|simulator|data|tests)/[\w./-]*", code):
            assert (ROOT / code).exists(), code
    variables = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(re.findall(r"\b(?:CAMPAIGN|WAVESPEED)_[A-Z_]+\b", text)) <= {
        *variables,
        "WAVESPEED_API_HOST",  # another program's
    }


def test_decisions_are_numbered_listed_and_of_one_shape() -> None:
    records = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")
    index = table(DOCS / "adr" / "README.md", "number").rows
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for number, (path, row) in enumerate(zip(records, index, strict=True), start=1):
        title, *sections = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
        assert row[0] == f"[{number:04}]({path.name})"
        assert title.startswith(f"{number}. {row[1]}")
        assert sections == ["Context", "Decision", "Consequences"]


def test_the_version_and_the_bounds_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert re.search(rf"^## \[{re.escape(project['version'])}\]", prose(ROOT / "CHANGELOG.md"), re.MULTILINE)
    locked = prose(DOCS / "adr" / "0007-the-whole-set-of-dependencies-is-locked.md")
    bounds = {re.split(r"[<>=\[]", line)[0]: line for line in project["dependencies"]}
    prefect = re.search(r"^prefect==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert prefect
    assert f"{prefect[1]} is locked" in locked
    for name, title in (("fastapi", "FastAPI"), ("sqlalchemy", "SQLAlchemy")):
        assert f"{title} below {bounds[name].rpartition('<')[2]}" in locked
