"""Fetching files from hosts that are not trusted: where from, how much, how long, and what is left on disk."""

import asyncio
import hashlib
import os
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted_service import Script, answering, http, raw_server

from blocks import remote_body
from blocks.errors import (
    CampaignError,
    FetchRefused,
    NotFound,
    RateLimited,
    StoreUnusable,
    Transient,
    Unavailable,
    Unreachable,
)
from blocks.remote import Fetched, RemoteFiles

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
PUBLIC = "93.184.216.34"
URL = "https://pictures.example/a.png?sig=secret"


class Names:
    """A name server: answers by name, in turn where it has several answers."""

    def __init__(self, **answers: Sequence[str] | list[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.get(host, (PUBLIC,) if host[0].isalpha() else (host,))
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        if not answer:
            raise OSError("unknown host")
        return answer


def remote_of(script: Script, *, names: Names | None = None, trusted: str | None = None, **options: Any) -> RemoteFiles:
    return RemoteFiles(
        trusted,
        sleep=script.sleep,
        resolve=names or Names(),
        transport=httpx.MockTransport(script),
        **options,
    )


async def fetch(remote: RemoteFiles, into: Path, url: str = URL, *, max_bytes: int = 10**6, seconds: float = 20) -> Fetched:
    async with remote:
        return await remote.fetch(url, into, max_bytes=max_bytes, max_seconds=seconds)


def picture(**headers: str) -> httpx.Response:
    return httpx.Response(200, content=PICTURE, headers={"Content-Type": "image/png", **headers})


async def test_a_picture_is_fetched(tmp_path: Path) -> None:
    script = Script(picture())
    fetched = await fetch(remote_of(script), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == PICTURE
    assert fetched == Fetched(hashlib.sha256(PICTURE).hexdigest(), len(PICTURE), "image/png", URL, simulated=False)
    (request,) = script.requests
    # Connected to the address that was checked, by the name that was asked for.
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "pictures.example"
    assert request.extensions["sni_hostname"] == "pictures.example"
    assert request.url.raw_path == b"/a.png?sig=secret"
    assert not {"authorization", "cookie"} & set(request.headers)
    assert os.listdir(tmp_path) == ["a.png"]


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
    assert not list(tmp_path.iterdir())
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
    await fetch(remote_of(script, names=Names(pictures_example=("2606:4700::1111", PUBLIC))), tmp_path / "a.png")
    assert [request.url.host for request in script.requests] == ["2606:4700::1111", PUBLIC]


def redirect(to: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"Location": to})


async def test_redirects_are_followed_and_checked_each(tmp_path: Path) -> None:
    script = Script(redirect("https://cdn.example/b"), redirect("/c.png", 308), picture())
    fetched = await fetch(remote_of(script), tmp_path / "a.png")
    assert fetched.final_url == "https://cdn.example/c.png"
    assert [request.headers["host"] for request in script.requests] == ["pictures.example", "cdn.example", "cdn.example"]


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
    assert not list(tmp_path.iterdir())


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
    for other in ("http://127.0.0.1:8001/1.png", "https://127.0.0.1:8000/1.png", "http://localhost:8000/1.png"):
        with pytest.raises(FetchRefused):
            await fetch(remote_of(script, trusted=trusted), tmp_path / "b.png", other)
    # Trusting the origin does not mean trusting where it redirects to.
    script = Script(redirect("http://127.0.0.1:8001/"), picture())
    with pytest.raises(FetchRefused):
        await fetch(remote_of(script, trusted=trusted), tmp_path / "b.png", "http://127.0.0.1:8000/x")


async def test_the_default_port_is_part_of_the_origin(tmp_path: Path) -> None:
    names = Names(api_example=("10.0.0.1",))
    script = Script(picture())
    await fetch(remote_of(script, names=names, trusted="https://api.example"), tmp_path / "a", "https://API.example:443/a")
    assert not names.asked


async def test_private_addresses_where_the_setting_allows_them(tmp_path: Path) -> None:
    names = Names(nas_example=("192.168.0.5",))
    for url in ("https://nas.example/a.png", "http://nas.example:8080/a.png"):
        script = Script(picture())
        await fetch(remote_of(script, names=names, allow_private=True), tmp_path / "a.png", url)
        assert script.requests[0].url.host == "192.168.0.5"
    # Plain http stays inside.
    with pytest.raises(FetchRefused, match="https"):
        await fetch(remote_of(Script(picture()), allow_private=True), tmp_path / "b.png", "http://pictures.example/")


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
    assert not list(tmp_path.iterdir())
    assert "secret" not in str(caught.value)
    if isinstance(reply, httpx.Response) and "retry-after" in reply.headers:
        assert min(script.slept) >= 9


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

    monkeypatch.setattr(remote_body.os, "fsync", full)
    with pytest.raises(StoreUnusable, match="No space left"):
        await fetch(remote_of(Script(picture())), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


async def test_media_types_are_asked_for(tmp_path: Path) -> None:
    script = Script(picture())
    async with remote_of(script) as remote:
        await remote.fetch(URL, tmp_path / "a", max_bytes=10**6, max_seconds=9, media_types=("image/webp", "image/png"))
        await remote.fetch(URL, tmp_path / "a", max_bytes=10**6, max_seconds=9)
    assert [request.headers["accept"] for request in script.requests] == ["image/png, image/webp, */*;q=0.1", "*/*"]


async def test_no_cookie_is_kept(tmp_path: Path) -> None:
    script = Script(picture(**{"Set-Cookie": "session=1; Path=/"}))
    async with remote_of(script) as remote:
        for _ in range(2):
            await remote.fetch(URL, tmp_path / "a", max_bytes=10**6, max_seconds=9)
    assert "cookie" not in script.requests[1].headers


# From here on over real sockets; the API's origin is the server, so plain http and loopback are fine.


async def no_sleep(_: float) -> None:
    return


async def fetch_raw(base_url: str, into: Path, **limits: Any) -> Fetched:
    return await fetch(RemoteFiles(base_url, sleep=no_sleep), into, f"{base_url}/a.png", **limits)


@pytest.mark.parametrize(
    ("broken", "reset"),
    [
        (http(PICTURE[:5000], length=len(PICTURE)), False),
        (http(PICTURE[:5000], length=len(PICTURE)), True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", False),
        (b"", True),
        (b"HTTP/1.1 200", False),
        (http(b"not gzip", headers="Content-Encoding: gzip\r\n"), False),
    ],
)
async def test_truncated_then_whole(broken: bytes, reset: bool, tmp_path: Path) -> None:
    whole = answering(http(PICTURE))
    async with raw_server(answering(broken, reset=reset), whole) as base_url:
        await fetch_raw(base_url, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == PICTURE
    async with raw_server(answering(broken, reset=reset)) as base_url:
        with pytest.raises(Transient):
            await fetch_raw(base_url, tmp_path / "b.png")
    assert os.listdir(tmp_path) == ["a.png"]


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def test_a_file_without_end_is_cut_off(tmp_path: Path) -> None:
    async with raw_server(endless) as base_url:
        with pytest.raises(FetchRefused, match="larger than the 200,000 bytes"):
            await fetch_raw(base_url, tmp_path / "a.png", max_bytes=200_000)
    assert not list(tmp_path.iterdir())


async def test_time_is_limited(tmp_path: Path) -> None:
    async with raw_server(trickle) as base_url:
        began = time.monotonic()
        with pytest.raises(FetchRefused, match=r"within 0\.3 s"):
            await fetch_raw(base_url, tmp_path / "a.png", seconds=0.3)
    assert time.monotonic() - began < 3
    assert not list(tmp_path.iterdir())


async def test_a_trickle_that_never_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_body, "_SLOW_WINDOW_SECONDS", 0.2)
    async with raw_server(trickle) as base_url:
        with pytest.raises(FetchRefused, match="too slowly"):
            await fetch_raw(base_url, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


async def test_time_that_runs_out_between_tries_tells_the_trouble_itself(tmp_path: Path) -> None:
    async with raw_server(answering(http(b"", status="503 Down"))) as base_url:
        remote = RemoteFiles(base_url, sleep=lambda _: asyncio.sleep(30))
        with pytest.raises(Unavailable, match="HTTP 503"):
            await fetch(remote, tmp_path / "a.png", f"{base_url}/a.png", seconds=0.3)


async def test_whoever_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with raw_server(trickle) as base_url:
        fetching = asyncio.create_task(fetch_raw(base_url, tmp_path / "a.png"))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert not list(tmp_path.iterdir())


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for the name, signed by itself; its file and the context of a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context


async def test_the_certificate_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    path, context = certificate(tmp_path, "pictures.example")
    server = await asyncio.start_server(answering(http(PICTURE, headers="Connection: close\r\n")), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    names = Names(pictures_example=("127.0.0.1",), other_example=("127.0.0.1",))
    trusting = ssl.create_default_context(cafile=str(path))
    transport = httpx.AsyncHTTPTransport(verify=trusting, trust_env=False)
    async with server, RemoteFiles(None, allow_private=True, resolve=names, sleep=no_sleep, transport=transport) as remote:
        limits: dict[str, Any] = {"max_bytes": 10**6, "max_seconds": 10}
        fetched = await remote.fetch(f"https://pictures.example:{port}/a.png", tmp_path / "a.png", **limits)
        assert fetched.bytes == len(PICTURE)
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await remote.fetch(f"https://other.example:{port}/a.png", tmp_path / "b.png", **limits)
