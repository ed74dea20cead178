"""Signed links to inputs expire, often within the hour: what was paid for by their bytes is found all the same."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from campaign_support import Workplace
from direct_campaign import Command
from media_samples import encoded, scene
from quiet_scene import QuietScene, ended

from blocks.errors import FetchRefused, InvalidInput
from blocks.ledger import Ledger
from blocks.media import ClipFacts, PictureFacts
from tasks.briefs.inputs import read_and_check
from tasks.briefs.remembered import kept_facts, recalled

pytest_plugins = ("ledger_fixtures",)

SIGNATURE = "X-Amz-Signature=0f0d05d2b0b64b3190f37975f30e52d3"


class SignedLinks:
    """A place for files whose links hold until ``expired`` is set; ``asked`` counts the requests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expired = False
        self.asked = 0
        self.url = ""

    def link(self, name: str) -> str:
        return f"{self.url}/{name}?{SIGNATURE}"


@contextmanager
def signed_links(folder: Path) -> Iterator[SignedLinks]:
    links = SignedLinks(folder)

    class Place(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            links.asked += 1
            name, _, signature = self.path[1:].partition("?")
            allowed = signature == SIGNATURE and not links.expired
            content = (links.folder / name).read_bytes() if allowed else b"<Error>Request has expired</Error>"
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Place) as server:
        links.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield links
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def scene_and_links(tmp_path: Path) -> Iterator[tuple[QuietScene, SignedLinks]]:
    made = QuietScene(tmp_path)
    made.workplace.environment["CAMPAIGN_ALLOW_PRIVATE_INPUTS"] = "true"
    try:
        with signed_links(made.folder) as links:
            yield made, links
    finally:
        made.close()


def _rows(links: SignedLinks, workplace: Workplace, *names: str, **more: str) -> list[dict[str, str]]:
    image = workplace.picture(size=(320, 320))
    return [{"brief": name, "edit_prompt": name, "edit_image": links.link(image)} | more for name in names]


def test_what_is_paid_for_is_found_when_the_link_has_expired(
    scene_and_links: tuple[QuietScene, SignedLinks],
) -> None:
    scene, links = scene_and_links
    scene.rows(_rows(links, scene.workplace, "a", "b"))
    assert scene.run() == 0, scene.said
    before = scene.assets()
    links.expired = True
    asked = links.asked
    assert scene.run() == 0, scene.said
    assert links.asked > asked, "a link that may hold something new is asked each time"
    assert scene.billed == ["a", "b"]
    assert scene.assets() == before
    assert {stage.outcome for stage in scene.last().stages} == {"cached"}


def test_frozen_and_reconcile_go_on_as_well(scene_and_links: tuple[QuietScene, SignedLinks]) -> None:
    scene, links = scene_and_links
    scene.rows(_rows(links, scene.workplace, "a"))
    assert scene.run() == 0, scene.said
    links.expired = True
    frozen = scene.workplace.run("run", scene.csv, "--frozen", "--json")
    assert frozen.status == 0, frozen
    planned = scene.workplace.run("plan", scene.csv)
    assert planned.status == 0, planned
    assert "cannot be fetched any more" in planned.stdout + planned.stderr
    assert SIGNATURE not in planned.stdout + planned.stderr
    reconciled = scene.workplace.run("reconcile", "latest")
    assert reconciled.status == 0, reconciled
    assert scene.billed == ["a"]


def test_what_was_sent_before_the_run_died_is_collected(
    scene_and_links: tuple[QuietScene, SignedLinks],
) -> None:
    scene, links = scene_and_links
    scene.rows(_rows(links, scene.workplace, "a"))
    assert _die_once_sent(scene) != 0
    links.expired = True
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a"]


def test_a_new_attempt_needs_the_bytes_and_says_so(tmp_path: Path) -> None:
    """The prediction fails for the service's own reasons, which is seen only after the link has expired."""
    failing = {"rules": [{"on": "submit", "do": "fail_prediction", "code": 5000, "times": 1}]}
    scene = QuietScene(tmp_path, failing)
    scene.workplace.environment["CAMPAIGN_ALLOW_PRIVATE_INPUTS"] = "true"
    try:
        with signed_links(scene.folder) as links:
            scene.rows(_rows(links, scene.workplace, "a"))
            assert _die_once_sent(scene) != 0
            links.expired = True
            with scene.ledger() as books, books._database.write() as connection:
                connection.exec_driver_sql("DELETE FROM uploads")
            assert scene.run() == 1, scene.said
            (brief,) = scene.last().briefs
            assert brief.error is not None
            assert "cannot be fetched: " in brief.error
            assert "Nothing was sent with it" in brief.error
            assert SIGNATURE not in brief.error
    finally:
        scene.close()


def _die_once_sent(scene: QuietScene) -> int:
    own = {
        name: value
        for name, value in scene.workplace.environment.items()
        if name.startswith(("WAVESPEED_", "CAMPAIGN_"))
    }
    crash = ("after Ledger.submitted", 1)
    return ended(Command(scene.folder, own, scene.csv, scene.log, crash=crash).start())


def test_a_later_stage_of_what_was_made_goes_on(scene_and_links: tuple[QuietScene, SignedLinks]) -> None:
    scene, links = scene_and_links
    scene.rows(_rows(links, scene.workplace, "a"))
    assert scene.run() == 0, scene.said
    links.expired = True
    scene.rows(_rows(links, scene.workplace, "a", compose_prompt="@Image1 on oak"))
    assert scene.run() == 0, scene.said
    assert scene.billed == ["@Image1 on oak", "a"]


def test_what_still_has_to_be_paid_for_needs_its_bytes(
    scene_and_links: tuple[QuietScene, SignedLinks],
) -> None:
    scene, links = scene_and_links
    scene.rows(_rows(links, scene.workplace, "a"))
    assert scene.run() == 0, scene.said
    links.expired = True
    scene.rows(_rows(links, scene.workplace, "a", "new"))
    assert scene.run() == 2, scene.said
    assert scene.said.count("cannot be fetched: ") == 1
    assert SIGNATURE not in scene.said
    assert "spring.csv:3: edit_image: " in scene.said
    assert scene.billed == ["a"]
    # Where the same bytes are named another way, they are at hand.
    rows = _rows(links, scene.workplace, "a", "new")
    scene.rows([*rows, {"brief": "c", "edit_prompt": "a", "edit_image": "mug.png"}])
    assert scene.run() == 0, scene.said
    assert scene.billed == ["a", "new"]


def test_a_link_that_no_run_has_read_is_the_problem_it_was(
    scene_and_links: tuple[QuietScene, SignedLinks],
) -> None:
    scene, links = scene_and_links
    links.expired = True
    scene.rows(_rows(links, scene.workplace, "a"))
    assert scene.run() == 2, scene.said
    assert "cannot be fetched: " in scene.said
    assert scene.billed == []


def test_no_address_is_kept(ledger: Ledger) -> None:
    address = f"https://media.example/mug.png?{SIGNATURE}"
    ledger.remember_inputs([(address, "picture", "aa", {"width": 1}), (address, "clip", "bb", {"width": 2})])
    ledger.remember_inputs([(address, "picture", "cc", {"width": 3})])
    ledger.remember_inputs([])
    found = ledger.remembered_input(address, "picture")
    assert found is not None
    assert (found.sha256, found.facts) == ("cc", {"width": 3})
    assert ledger.remembered_input(address + "0", "picture") is None
    with ledger._database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM remembered_inputs").all()
    assert len(rows) == 2
    assert SIGNATURE not in str(rows)


def test_facts_are_kept_as_they_were() -> None:
    picture = PictureFacts("image/png", "PNG", 320, 320, "RGB", 1000, 1)
    clip = ClipFacts(
        "video/mp4", "mp4", Decimal("4.2"), 720, 1280, Decimal("23.976"), has_sound=True, bytes=9
    )
    for facts in (picture, clip):
        kind, kept = kept_facts(facts)
        as_kept = json.loads(json.dumps(kept))
        found = recalled(lambda *_, kept=as_kept: ("ab", kept), "https://a", kind)
        assert found is not None
        assert (found.sha256, found.facts) == ("ab", facts)
    assert recalled(lambda *_: ("ab", {"of": "another version"}), "https://a", "clip") is None


async def test_only_an_address_that_fails_is_recalled(tmp_path: Path) -> None:
    """What is there now counts, also where it is no picture: an error page must not pass for what was paid for."""
    path = tmp_path / "c.csv"
    path.write_text("brief,edit_prompt,edit_image\na,x,https://media.example/a.png\n")
    kind, facts = kept_facts(PictureFacts("image/png", "PNG", 320, 320, "RGB", 1000, 1))
    asked: list[str] = []

    def recall(address: str, _: str) -> tuple[str, dict[str, object]]:
        asked.append(address)
        return "ab" * 32, facts

    class Remote:
        content: bytes | None = None

        async def fetch(self, url: str, into: Path, *, max_bytes: int, max_seconds: float) -> None:  # noqa: ARG002 - the protocol's
            if self.content is None:
                raise FetchRefused(f"{url} is gone.")
            await anyio.Path(into).write_bytes(self.content)

    remote = Remote()
    _, inputs = await read_and_check(path, remote=remote, fetched_folder=tmp_path / "f", recall=recall)
    assert [item.sha256 for item in inputs.missing] == ["ab" * 32]
    assert inputs.fetched == ()
    remote.content = encoded(scene(), "PNG")
    _, inputs = await read_and_check(path, remote=remote, fetched_folder=tmp_path / "f", recall=recall)
    assert [item.missing for item in inputs.fetched] == [""]
    remote.content = b"<html>"
    with pytest.raises(InvalidInput):
        await read_and_check(path, remote=remote, fetched_folder=tmp_path / "f", recall=recall)
    assert asked == ["https://media.example/a.png"]
    assert kind == "picture"
