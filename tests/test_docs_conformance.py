"""docs/conformance.md says which official clients are tested; their locks hold hashes, and no addresses."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from conformance.clients import ALL, CALLS, OfficialClient
from conformance.environments import CLIENTS
from docs_support import ROOT, codes, described, plain

DOCUMENT = ROOT / "docs" / "conformance.md"
NODE = sorted(CLIENTS.glob("*/package-lock.json"))
PYTHON = sorted(CLIENTS.glob("*/requirements.txt"))


def locked_version(folder: str, package: str) -> str:
    """The version of a package in the lock of one client."""
    if (lock := CLIENTS / folder / "package-lock.json").exists():
        return str(json.loads(lock.read_text())["packages"][f"node_modules/{package}"]["version"])
    found = re.search(
        rf"^{re.escape(package)}==(\S+)", (CLIENTS / folder / "requirements.txt").read_text(), re.MULTILINE
    )
    assert found
    return found[1]


def test_every_client_is_described_in_its_locked_version() -> None:
    clients = described(DOCUMENT, "folder", "client")
    assert list(clients) == [kind.folder for kind in ALL]
    assert {lock.parent.name for lock in NODE + PYTHON} == set(clients)
    for folder, version in described(DOCUMENT, "folder", "version").items():
        (package,) = codes(clients[folder])
        assert plain(version) == locked_version(folder, package)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.folder)
def test_every_call_that_a_client_offers_is_described(kind: type[OfficialClient]) -> None:
    shown = codes(described(DOCUMENT, "folder", "calls that are tested")[kind.folder])
    assert shown == [call for call in CALLS if kind.offers(call)]


@pytest.mark.parametrize("lock", NODE, ids=lambda lock: lock.parent.name)
def test_every_npm_package_is_locked_by_its_hash_without_an_address(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    del packages[""]  # the project itself
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


@pytest.mark.parametrize("lock", PYTHON, ids=lambda lock: lock.parent.name)
def test_every_python_package_is_locked_by_its_hash_without_an_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pins = [(line, its) for line, its in pairwise(text.splitlines()) if re.match(r"[a-z0-9]", line)]
    assert pins
    for pin, first_hash in pins:
        assert "==" in pin
        assert first_hash.startswith("    --hash=sha256:"), pin
