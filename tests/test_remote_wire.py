"""Fetching over real sockets: truncation, resets, files without end, certificates."""

import asyncio
import gzip
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted_files import PICTURE, Names, fetch, files_in
from scripted_service import answering, http, raw_server

from blocks import remote_body
from blocks.errors import FetchRefused, Transient, Unavailable, Unreachable
from blocks.remote import Fetched, RemoteFiles


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
    assert files_in(tmp_path) == ["a.png"]


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_packed_body_counts_as_what_it_unpacks_to(layers: int, tmp_path: Path) -> None:
    body = bytes(5_000_000)
    for _ in range(layers):
        body = gzip.compress(body)
    assert len(body) < 10_000
    encoding = f"Content-Encoding: {', '.join(['gzip'] * layers)}\r\n"
    reason = "larger than the 200,000 bytes" if layers == 1 else "packed in a way that is not read"
    async with raw_server(answering(http(body, headers=encoding))) as base_url:
        with pytest.raises(FetchRefused, match=reason):
            await fetch_raw(base_url, tmp_path / "a.png", max_bytes=200_000)
    assert not files_in(tmp_path)


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
    assert not files_in(tmp_path)


async def test_time_is_limited(tmp_path: Path) -> None:
    async with raw_server(trickle) as base_url:
        began = time.monotonic()
        with pytest.raises(FetchRefused, match=r"within 0\.3 s"):
            await fetch_raw(base_url, tmp_path / "a.png", seconds=0.3)
    assert time.monotonic() - began < 3
    assert not files_in(tmp_path)


async def test_a_trickle_that_never_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_body, "_SLOW_WINDOW_SECONDS", 0.2)
    async with raw_server(trickle) as base_url:
        with pytest.raises(FetchRefused, match="too slowly"):
            await fetch_raw(base_url, tmp_path / "a.png")
    assert not files_in(tmp_path)


async def test_time_that_runs_out_between_tries_tells_the_trouble_itself(tmp_path: Path) -> None:
    async with raw_server(answering(http(b"", status="503 Down"))) as base_url:
        remote = RemoteFiles(base_url, sleep=lambda _: asyncio.sleep(30))
        with pytest.raises(Unavailable, match="HTTP 503"):
            await fetch(remote, tmp_path / "a.png", f"{base_url}/a.png", seconds=0.3)


async def test_whoever_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with raw_server(trickle) as base_url:
        fetching = asyncio.create_task(fetch_raw(base_url, tmp_path / "a.png"))
        while not files_in(tmp_path):  # noqa: ASYNC110 - a file on disk sets no event
            await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert not files_in(tmp_path)


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for the name, signed by itself: its file, and the context of a server with it."""
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
    server = await asyncio.start_server(
        answering(http(PICTURE, headers="Connection: close\r\n")), "127.0.0.1", 0, ssl=context
    )
    port = server.sockets[0].getsockname()[1]
    names = Names(pictures_example=("127.0.0.1",), other_example=("127.0.0.1",))
    trusting = ssl.create_default_context(cafile=str(path))
    transport = httpx.AsyncHTTPTransport(verify=trusting, trust_env=False)
    async with (
        server,
        RemoteFiles(None, allow_private=True, resolve=names, sleep=no_sleep, transport=transport) as remote,
    ):
        limits: dict[str, Any] = {"max_bytes": 10**6, "max_seconds": 10}
        fetched = await remote.fetch(f"https://pictures.example:{port}/a.png", tmp_path / "a.png", **limits)
        assert fetched.bytes == len(PICTURE)
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await remote.fetch(f"https://other.example:{port}/a.png", tmp_path / "b.png", **limits)
