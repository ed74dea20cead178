"""Handing inputs to the service, by ticket and by the older call."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from scripted_service import BASE_URL, KEY, Script, envelope, http, raw_server, refusal

from blocks.errors import AccountRefused, FetchRefused, RequestRefused, StoreUnusable, Unavailable
from blocks.wavespeed import WaveSpeedClient

PUBLIC = "https://93.184.216.34"


def ticket(
    put_url: str = f"{BASE_URL}/put/1", *, number: int = 1, headers: dict[str, str] | None = None
) -> httpx.Response:
    return envelope(
        {
            "download_url": f"https://cdn.example/{number}.png",
            "upload": {"method": "PUT", "url": put_url, "headers": headers or {}},
        }
    )


async def upload(client: WaveSpeedClient, content: bytes | Path = b"picture") -> str:
    return (await client.upload(content, filename="a.png", media_type="image/png")).url


async def test_a_ticket_upload() -> None:
    script = Script(
        ticket(headers={"Content-Type": "image/png", "X-Place": "7", "Host": "evil.example"}),
        httpx.Response(200),
    )
    async with script.client() as client:
        before = datetime.now(UTC)
        done = await client.upload(b"picture", filename="a.png", media_type="image/png")
    assert done.url == "https://cdn.example/1.png"
    assert timedelta(days=6.5) < done.expires_at - before < timedelta(days=7)
    asked, put = script.requests
    assert asked.url.path == "/api/v3/media/uploads"
    assert asked.content == b'{"filename":"a.png","size":7,"content_type":"image/png"}'
    assert (put.method, put.content) == ("PUT", b"picture")
    assert put.headers["content-length"] == "7"
    assert put.headers["x-place"] == "7"
    assert put.headers["content-type"] == "image/png"
    assert put.headers["host"] == "api.example"
    assert "authorization" not in put.headers
    assert "transfer-encoding" not in put.headers
    assert client.requests_sent == {"upload_ticket": 1, "upload_put": 1}


async def test_a_file_is_sent_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(range(256)) * 4000)
    script = Script(ticket(), httpx.Response(204))
    async with script.client() as client:
        await upload(client, path)
    assert script.requests[1].content == path.read_bytes()
    async with script.client() as client:
        with pytest.raises(StoreUnusable):
            await upload(client, tmp_path / "missing.png")


@pytest.mark.parametrize(
    ("put_url", "refused"),
    [
        (f"{PUBLIC}/put", False),
        ("https://127.0.0.1/put", True),
        ("https://169.254.169.254/put", True),
        ("http://93.184.216.34/put", True),
        ("https://user:pw@93.184.216.34/put", True),
        ("ftp://93.184.216.34/put", True),
        ("https://api.example:444/put", True),
        ("http://api.example/put", True),
    ],
)
async def test_the_tickets_host_is_checked(
    put_url: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        address = "10.0.0.9" if host == "api.example" else host
        return [(0, 0, 0, "", (address, port))]

    monkeypatch.setattr("blocks.remote_addresses.anyio.getaddrinfo", getaddrinfo)
    script = Script(ticket(put_url), httpx.Response(200))
    async with script.client() as client:
        if refused:
            with pytest.raises(FetchRefused):
                await upload(client)
            assert len(script.requests) == 1
        else:
            await upload(client)
            assert "authorization" not in script.requests[1].headers


async def test_a_ticket_cannot_ask_for_the_key() -> None:
    script = Script(ticket(f"{PUBLIC}/put", headers={"Authorization": f"Bearer {KEY}"}), httpx.Response(200))
    async with script.client() as client:
        with pytest.raises(FetchRefused):
            await upload(client)
    assert len(script.requests) == 1


@pytest.mark.parametrize("trouble", [httpx.Response(503), httpx.Response(403), httpx.ReadError("reset")])
async def test_every_try_asks_for_its_own_ticket(trouble: httpx.Response | Exception) -> None:
    script = Script(ticket(), trouble, ticket(number=2), httpx.Response(200))
    async with script.client() as client:
        assert await upload(client) == "https://cdn.example/2.png"
    assert [request.content for request in script.requests if request.method == "PUT"] == [b"picture"] * 2


async def test_trouble_that_lasts() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return ticket() if request.method == "POST" else httpx.Response(500)

    async with Script(reply).client(max_tries=2) as client:
        with pytest.raises(Unavailable, match="HTTP 500"):
            await upload(client)
    async with Script(ticket(), httpx.Response(413)).client() as client:
        with pytest.raises(RequestRefused, match="HTTP 413"):
            await upload(client)
    async with Script(refusal(401)).client() as client:
        with pytest.raises(AccountRefused):
            await upload(client)
    # A redirect could lead anywhere, so it is not followed.
    async with Script(ticket(), httpx.Response(307, headers={"Location": f"{PUBLIC}/x"})).client() as client:
        with pytest.raises(RequestRefused):
            await upload(client)


@pytest.mark.parametrize(
    "not_offered",
    [
        refusal(404),
        refusal(405),
        refusal(501),
        envelope(None, code=404),
        envelope({"download_url": "https://cdn.example/1.png"}),
        envelope(
            {"download_url": "https://cdn.example/1.png", "upload": {"method": "POST", "url": "https://x"}}
        ),
    ],
)
async def test_the_older_call_where_no_ticket_is_offered(not_offered: httpx.Response, tmp_path: Path) -> None:
    binary = envelope(
        {"type": "image", "download_url": "https://cdn.example/old.png", "filename": "a.png", "size": 7}
    )
    script = Script(not_offered, binary)
    path = tmp_path / "b.png"
    path.write_bytes(b"from disk")
    async with script.client() as client:
        assert await upload(client) == "https://cdn.example/old.png"
        assert await upload(client, path) == "https://cdn.example/old.png"
    assert [request.url.path.rpartition("/")[2] for request in script.requests] == [
        "uploads",
        "binary",
        "binary",
    ]
    form = script.requests[1]
    assert form.headers["authorization"] == f"Bearer {KEY}"
    assert form.headers["content-type"].startswith("multipart/form-data")
    assert b'name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\npicture\r\n' in form.content
    assert b"\r\n\r\nfrom disk\r\n" in script.requests[2].content


async def test_the_older_call_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    path.write_bytes(b"from disk")
    binary = envelope({"download_url": "https://cdn.example/old.png"})
    script = Script(refusal(404), refusal(502), envelope({"filename": "no url"}), binary)
    async with script.client() as client:
        assert await upload(client, path) == "https://cdn.example/old.png"
    assert all(b"from disk" in request.content for request in script.requests[1:])


async def test_over_the_wire_the_place_gets_the_bytes_and_nothing_of_the_account(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3000
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    got: list[tuple[bytes, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        got.append((head, await reader.readexactly(length)))
        if head.startswith(b"POST"):
            host = head.partition(b"Host: ")[2].split(b"\r\n")[0].decode()
            body = (
                '{"code":200,"data":{"download_url":"http://cdn/1","upload":'
                f'{{"method":"PUT","url":"http://{host}/put?sig=1","headers":{{"x-amz-acl":"public-read"}}}}}}}}'
            )
            writer.write(http(body.encode(), headers="Connection: close\r\n"))
        else:
            writer.write(http(b"", headers="Connection: close\r\n"))
        await writer.drain()

    async with raw_server(serve) as base_url, WaveSpeedClient(SecretStr(KEY), base_url) as client:
        await client.upload(path, filename="clip.mp4", media_type="video/mp4")
    (asked, _), (put, body) = got
    assert KEY.encode() in asked
    assert put.startswith(b"PUT /put?sig=1 HTTP/1.1\r\n")
    assert b"x-amz-acl: public-read" in put
    assert KEY.encode() not in put
    assert body == content
