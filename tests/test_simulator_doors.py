"""Who may speak to the simulated service, and whom it speaks to itself: as one on the internet would."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from simulator_support import Simulator, picture, simulator_thread

from simulator.catalogue import IMAGE_EDIT
from simulator.outside import NotPublic, Target, is_public, target_of


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator_thread(tmp_path_factory.mktemp("simulator")) as running:
        yield running


def port(simulator: Simulator) -> int:
    found = urlsplit(simulator.url).port
    assert found is not None
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_it_answers_to_the_names_of_this_machine(simulator: Simulator, host: str) -> None:
    headers = {"Host": f"{host}:{port(simulator)}"}
    assert simulator.http.get("/api/v3/balance", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", ""],
)
def test_it_answers_to_no_other_name(simulator: Simulator, host: str) -> None:
    before = len(simulator.books.calls())
    headers = {"Host": host.format(port=port(simulator))}
    refused = simulator.http.get("/api/v3/balance", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (421, 421)
    assert len(simulator.books.calls()) == before


def test_no_page_of_another_origin_may_read_its_answers(simulator: Simulator) -> None:
    origin = {"Origin": "https://evil.example"}
    asked = simulator.http.options(
        "/api/v3/balance", headers=origin | {"Access-Control-Request-Method": "GET"}
    )
    answers = [asked, simulator.http.get("/api/v3/balance", headers=origin)]
    assert not [name for each in answers for name in each.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "https://127.0.0.1:{port}/a.png",
        "https://localhost:{port}/a.png",
        "https://2130706433:{port}/a.png",
        "https://[::ffff:127.0.0.1]:{port}/a.png",
        "https://10.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data",
        "http://example.com/a.png",
    ],
)
def test_inputs_are_not_fetched_from_private_addresses(simulator: Simulator, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = url.format(port=listener.getsockname()[1])
        done = simulator.finished(simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": address})["id"])
        assert (done["status"], done["code"]) == ("failed", 1402)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_its_own_files_are_inputs_at_any_port(simulator: Simulator) -> None:
    path = urlsplit(simulator.upload(picture())).path
    inputs = {"prompt": "x", "image": f"http://localhost:1{path}"}
    assert simulator.finished(simulator.submit(IMAGE_EDIT, inputs)["id"])["status"] == "completed"


async def test_a_public_name_is_called_at_the_address_that_was_checked() -> None:
    asked = []

    async def resolve(host: str, number: int) -> list[str]:
        asked.append((host, number))
        return ["93.184.216.34", "2606:2800:220:1::1"]

    assert await target_of("https://Example.com/a.png?b=c", loopback=False, resolve=resolve) == Target(
        "https://93.184.216.34:443/a.png?b=c", {"Host": "example.com"}, {"sni_hostname": "example.com"}
    )
    assert await target_of("https://example.com:8443/", loopback=False, resolve=resolve) == Target(
        "https://93.184.216.34:8443/", {"Host": "example.com:8443"}, {"sni_hostname": "example.com"}
    )
    assert asked == [("example.com", 443), ("example.com", 8443)]


@pytest.mark.parametrize("addresses", [["93.184.216.34", "10.0.0.1"], ["::1"], []])
async def test_a_name_with_one_private_address_is_not_called(addresses: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    with pytest.raises(NotPublic, match="public internet"):
        await target_of("https://example.com/", loopback=True, resolve=resolve)


@pytest.mark.parametrize(
    "url", ["https://example.com:99999/", "https://[bad/", "ftp://example.com/", "https:///a"]
)
async def test_what_is_no_https_url_is_not_called(url: str) -> None:
    with pytest.raises(NotPublic):
        await target_of(url, loopback=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:8.8.8.8", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("no address", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public
