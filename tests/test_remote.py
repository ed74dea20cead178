"""Fetching files from hosts that are not trusted: where from, how much, and what is left on disk."""

import hashlib
from pathlib import Path

import httpx
import pytest
from scripted_files import PICTURE, PUBLIC, URL, Names, fetch, files_in, picture, remote_of
from scripted_service import Script

from blocks.errors import (
    CampaignError,
    FetchRefused,
    NotFound,
    RateLimited,
    StoreUnusable,
    Unavailable,
    Unreachable,
)
from blocks.remote import Fetched


async def test_a_picture_is_fetched(tmp_path: Path) -> None:
    script = Script(picture())
    fetched = await fetch(remote_of(script), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == PICTURE
    assert fetched == Fetched(
        hashlib.sha256(PICTURE).hexdigest(), len(PICTURE), "image/png", URL, simulated=False
    )
    (request,) = script.requests
    # Connected to the address that was checked, by the name that was asked for.
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "pictures.example"
    assert request.extensions["sni_hostname"] == "pictures.example"
    assert request.url.raw_path == b"/a.png?sig=secret"
    assert not {"authorization", "cookie"} & set(request.headers)
    assert files_in(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://pictures.example/a.png", Names()),
        ("ftp://pictures.example/a.png", Names()),
        ("file:///etc/passwd", Names()),
        ("pictures.example/a.png", Names()),
        ("https:///a.png", Names()),
        ("https://user:pw@pictures.example/a.png", Names()),
        ("https://pictures.example:99999/a.png", Names()),
        ("https://127.0.0.1/a.png", Names()),
        ("https://[::1]/a.png", Names()),
        ("https://[::ffff:169.254.169.254]/a.png", Names()),
        ("https://2130706433/a.png", Names(**{"2130706433": ("127.0.0.1",)})),
        ("https://localhost/a.png", Names(localhost=("127.0.0.1",))),
        ("https://inside.example/a.png", Names(inside_example=("10.0.0.1",))),
        ("https://inside.example/a.png", Names(inside_example=(PUBLIC, "10.0.0.1"))),
        ("https://inside.example/a.png", Names(inside_example=("fe80::1%eth0",))),
    ],
)
async def test_what_is_not_followed(url: str, names: Names, tmp_path: Path) -> None:
    script = Script(picture())
    with pytest.raises(FetchRefused) as caught:
        await fetch(remote_of(script, names=names), tmp_path / "a.png", url)
    assert not script.requests
    assert not files_in(tmp_path)
    assert "pw" not in str(caught.value)


async def test_a_name_that_changes_its_mind_gains_nothing(tmp_path: Path) -> None:
    names = Names(pictures_example=[(PUBLIC,), ("127.0.0.1",)])
    script = Script(picture())
    await fetch(remote_of(script, names=names), tmp_path / "a.png")
    assert names.asked == ["pictures.example"]
    assert script.requests[0].url.host == PUBLIC


async def test_an_unknown_host_is_asked_for_again_and_then_told(tmp_path: Path) -> None:
    names = Names(pictures_example=())
    with pytest.raises(Unreachable, match=r"pictures\.example is not known"):
        await fetch(remote_of(Script(picture()), names=names), tmp_path / "a.png")
    assert len(names.asked) == 3


async def test_the_next_address_is_tried_where_one_takes_no_connection(tmp_path: Path) -> None:
    script = Script(httpx.ConnectError("refused"), picture())
    await fetch(
        remote_of(script, names=Names(pictures_example=("2606:4700::1111", PUBLIC))), tmp_path / "a.png"
    )
    assert [request.url.host for request in script.requests] == ["2606:4700::1111", PUBLIC]


def redirect(to: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"Location": to})


async def test_redirects_are_followed_and_checked_each(tmp_path: Path) -> None:
    script = Script(redirect("https://cdn.example/b"), redirect("/c.png", 308), picture())
    fetched = await fetch(remote_of(script), tmp_path / "a.png")
    assert fetched.final_url == "https://cdn.example/c.png"
    assert [request.headers["host"] for request in script.requests] == [
        "pictures.example",
        "cdn.example",
        "cdn.example",
    ]


@pytest.mark.parametrize(
    "to",
    [
        "https://127.0.0.1/",
        "https://inside.example/",
        "http://cdn.example/a.png",
        "file:///etc/passwd",
        "https://user:pw@cdn.example/",
        "https://[bad",
    ],
)
async def test_a_redirect_into_somebodys_network_is_refused(to: str, tmp_path: Path) -> None:
    script = Script(redirect("https://cdn.example/"), redirect(to), picture())
    with pytest.raises(FetchRefused):
        await fetch(remote_of(script, names=Names(inside_example=("192.168.0.1",))), tmp_path / "a.png")
    assert len(script.requests) == 2
    assert not files_in(tmp_path)


async def test_redirects_without_end(tmp_path: Path) -> None:
    script = Script(redirect("https://pictures.example/again"))
    with pytest.raises(FetchRefused, match="more than 5 times"):
        await fetch(remote_of(script), tmp_path / "a.png")
    assert len(script.requests) == 6


async def test_the_trusted_origin_may_be_loopback(tmp_path: Path) -> None:
    trusted = "http://127.0.0.1:8000/prefix"
    script = Script(picture(**{"X-Simulated": "kling-campaigns"}))
    remote = remote_of(script, trusted=trusted)
    fetched = await fetch(remote, tmp_path / "a.png", "http://127.0.0.1:8000/files/1.png")
    assert fetched.simulated
    assert remote.simulated
    for other in (
        "http://127.0.0.1:8001/1.png",
        "https://127.0.0.1:8000/1.png",
        "http://localhost:8000/1.png",
    ):
        with pytest.raises(FetchRefused):
            await fetch(remote_of(script, trusted=trusted), tmp_path / "b.png", other)
    # Trusting the origin does not mean trusting where it redirects to.
    script = Script(redirect("http://127.0.0.1:8001/"), picture())
    with pytest.raises(FetchRefused):
        await fetch(remote_of(script, trusted=trusted), tmp_path / "b.png", "http://127.0.0.1:8000/x")


async def test_the_default_port_is_part_of_the_origin(tmp_path: Path) -> None:
    names = Names(api_example=("10.0.0.1",))
    script = Script(picture())
    await fetch(
        remote_of(script, names=names, trusted="https://api.example"),
        tmp_path / "a",
        "https://API.example:443/a",
    )
    assert not names.asked


async def test_private_addresses_where_the_setting_allows_them(tmp_path: Path) -> None:
    names = Names(nas_example=("192.168.0.5",))
    for url in ("https://nas.example/a.png", "http://nas.example:8080/a.png"):
        script = Script(picture())
        await fetch(remote_of(script, names=names, allow_private=True), tmp_path / "a.png", url)
        assert script.requests[0].url.host == "192.168.0.5"
    # Plain http stays inside.
    with pytest.raises(FetchRefused, match="https"):
        await fetch(
            remote_of(Script(picture()), allow_private=True), tmp_path / "b.png", "http://pictures.example/"
        )


@pytest.mark.parametrize(
    ("reply", "error", "requests"),
    [
        (httpx.Response(404), NotFound, 1),
        (httpx.Response(410), NotFound, 1),
        (httpx.Response(403), NotFound, 1),
        (httpx.Response(401), FetchRefused, 1),
        (httpx.Response(204), FetchRefused, 1),
        (httpx.Response(206, content=b"part"), FetchRefused, 1),
        (httpx.Response(304), FetchRefused, 1),
        (httpx.Response(500), Unavailable, 3),
        (httpx.Response(503, headers={"Retry-After": "9"}), Unavailable, 3),
        (httpx.Response(429), RateLimited, 3),
        (httpx.Response(429, headers={"Retry-After": "3600"}), RateLimited, 1),
        (httpx.ReadError("reset"), Unavailable, 3),
        (httpx.ReadTimeout("silent"), Unavailable, 3),
        (httpx.ConnectError("refused"), Unreachable, 3),
        (picture(**{"Content-Length": "2000000"}), FetchRefused, 1),
        (httpx.Response(200, content=b"x" * 1_000_001), FetchRefused, 1),
    ],
)
async def test_what_each_answer_means(
    reply: httpx.Response | Exception, error: type[CampaignError], requests: int, tmp_path: Path
) -> None:
    script = Script(reply)
    with pytest.raises(CampaignError) as caught:
        await fetch(remote_of(script), tmp_path / "a.png")
    assert type(caught.value) is error
    assert len(script.requests) == requests
    assert not files_in(tmp_path)
    assert "secret" not in str(caught.value)
    if isinstance(reply, httpx.Response) and "retry-after" in reply.headers:
        assert all(seconds >= 9 for seconds in script.slept)


async def test_passing_trouble_is_waited_out_and_the_file_is_read_anew(tmp_path: Path) -> None:
    script = Script(httpx.Response(502), httpx.ReadError("reset"), picture())
    await fetch(remote_of(script), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == PICTURE
    assert all("range" not in request.headers for request in script.requests)


async def test_html_with_status_200_is_left_to_the_decoder(tmp_path: Path) -> None:
    script = Script(httpx.Response(200, html="<html>sorry</html>"))
    fetched = await fetch(remote_of(script), tmp_path / "a.png")
    assert fetched.content_type.startswith("text/html")
    assert (tmp_path / "a.png").read_bytes() == b"<html>sorry</html>"


async def test_what_was_there_stays_where_a_fetch_fails(tmp_path: Path) -> None:
    into = tmp_path / "a.png"
    into.write_bytes(b"before")
    with pytest.raises(NotFound):
        await fetch(remote_of(Script(httpx.Response(404))), into)
    assert into.read_bytes() == b"before"
    await fetch(remote_of(Script(picture())), into)
    assert into.read_bytes() == PICTURE


async def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"a\.png could not be written"):
        await fetch(remote_of(Script(picture())), tmp_path / "missing" / "a.png")


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreUnusable, match="No space left"):
        await fetch(remote_of(Script(picture())), tmp_path / "a.png")
    assert not files_in(tmp_path)


async def test_media_types_are_asked_for(tmp_path: Path) -> None:
    script = Script(picture())
    async with remote_of(script) as remote:
        await remote.fetch(
            URL, tmp_path / "a", max_bytes=10**6, max_seconds=9, media_types=("image/webp", "image/png")
        )
        await remote.fetch(URL, tmp_path / "a", max_bytes=10**6, max_seconds=9)
    assert [request.headers["accept"] for request in script.requests] == [
        "image/png, image/webp, */*;q=0.1",
        "*/*",
    ]


async def test_no_cookie_is_kept(tmp_path: Path) -> None:
    script = Script(picture(**{"Set-Cookie": "session=1; Path=/"}))
    async with remote_of(script) as remote:
        for _ in range(2):
            await remote.fetch(URL, tmp_path / "a", max_bytes=10**6, max_seconds=9)
    assert "cookie" not in script.requests[1].headers
