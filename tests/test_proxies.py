"""A machine behind a proxy: loopback never goes through it, the API and other hosts do; with a real proxy's port."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from campaign_support import Workplace
from pydantic import SecretStr

from blocks.errors import FetchRefused, InvalidInput, Transient, Unreachable
from blocks.proxies import keep_loopback_direct, proxy_for
from blocks.remote import RemoteFiles
from blocks.wavespeed import WaveSpeedClient

NOBODY = "http://127.0.0.1:9"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that writes down what it is asked for, and lets nothing through."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536).decode("latin-1").splitlines()[0])
                    connection.sendall(
                        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked


@pytest.mark.parametrize("exempt", ["", "intranet.example"])
def test_a_run_behind_a_proxy_reaches_everything_on_this_machine(workplace: Workplace, exempt: str) -> None:
    """The embedded simulator, and a Prefect server on loopback, whose client obeys NO_PROXY only."""
    workplace.environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), NOBODY)
    workplace.environment["NO_PROXY"] = exempt
    briefs = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    finished = workplace.run("run", briefs, "--json")
    assert finished.status == 0, finished
    assert finished.document["briefs"]["done"] == 1
    assert "note:" not in finished.stderr, finished.stderr


async def test_the_api_and_other_hosts_go_through_the_same_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy() as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", address)
        async with WaveSpeedClient(SecretStr("key"), "https://api.example.invalid", max_tries=1) as client:
            with pytest.raises(Transient):
                await client.balance()
        # No name server knows these: the proxy does, or nobody.
        async with RemoteFiles("https://api.example.invalid", sleep=no_wait) as remote:
            for url in ("https://pictures.example.invalid/a.png", "https://api.example.invalid/out/b.png"):
                with pytest.raises(Transient):
                    await remote.fetch(url, tmp_path / "a.png", max_bytes=1000, max_seconds=30)
    assert set(asked) == {f"CONNECT {host}.example.invalid:443 HTTP/1.1" for host in ("api", "pictures")}


async def no_wait(_: float) -> None:
    """Tries again at once."""


async def resolved_inside(_host: str, _port: int) -> list[str]:
    return ["10.0.0.1"]


async def test_a_proxy_is_no_way_into_somebodys_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy() as (address, asked):
        monkeypatch.setenv("ALL_PROXY", address)
        async with RemoteFiles(None, resolve=resolved_inside, sleep=no_wait) as remote:
            for url in ("https://inside.example/a.png", "http://inside.example/a.png"):
                with pytest.raises(FetchRefused):
                    await remote.fetch(url, tmp_path / "a.png", max_bytes=1000, max_seconds=30)
    assert asked == []


async def test_a_proxy_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", NOBODY)
    async with RemoteFiles(None, sleep=no_wait) as remote:
        with pytest.raises(Unreachable, match="through the proxy that the environment names"):
            await remote.fetch(
                "https://pictures.example.invalid/a.png", tmp_path / "a.png", max_bytes=1000, max_seconds=30
            )
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy")
    async with RemoteFiles(None, sleep=no_wait) as remote:
        with pytest.raises(InvalidInput, match="HTTPS_PROXY"):
            await remote.fetch(
                "https://pictures.example.invalid/a.png", tmp_path / "a.png", max_bytes=1000, max_seconds=30
            )


@pytest.mark.parametrize(
    ("url", "exempt", "through"),
    [
        ("https://api.example/", "", True),
        ("https://api.example/", "other.example", True),
        ("https://api.example/", "example", False),
        ("https://api.example/", ".example", False),
        ("https://api.example/", "a, api.example", False),
        ("https://api.example/", "*", False),
        ("https://notexample/", "example", True),
        ("http://127.0.0.1:8000/", "", False),
        ("http://127.8.8.8/", "", False),
        ("http://[::1]:8000/", "", False),
        ("http://localhost/", "", False),
        ("https://10.0.0.1/", "10.0.0.1", False),
    ],
)
def test_what_goes_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, exempt: str, through: bool
) -> None:
    assert proxy_for(httpx.URL(url)) is None
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for(httpx.URL(url)) == ("http://proxy.example:3128" if through else None)


def test_loopback_is_exempt_for_libraries_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("NO_PROXY", "intranet.example, localhost")
    monkeypatch.setenv("no_proxy", "intranet.example, localhost")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.5:4200/api")
    keep_loopback_direct()
    keep_loopback_direct()
    with httpx.Client() as client:
        for host in ("127.0.0.1:1", "localhost", "[::1]", "127.0.0.5:4200", "intranet.example"):
            assert client._transport_for_url(httpx.URL(f"http://{host}/")) is client._transport
        assert client._transport_for_url(httpx.URL("http://other.example/")) is not client._transport
