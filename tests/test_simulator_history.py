"""What the history of a simulated service may do wrong: each switch over real HTTP, and how our client reads it."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from simulator_support import KEY, Simulator, picture, simulator_thread

from blocks.wavespeed import Prediction, WaveSpeedClient
from simulator.catalogue import IMAGE_EDIT


def switched(home: Path, **switches: Any) -> AbstractContextManager[Simulator]:
    return simulator_thread(home, faults={"switches": switches})


def edit(simulator: Simulator, **inputs: Any) -> dict[str, Any]:
    return {"prompt": "x", "image": simulator.upload(picture()), **inputs}


async def read(simulator: Simulator, calls: int = 1) -> list[Prediction]:
    """What our client reads of the history, with one client for all calls."""
    async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
        for _ in range(calls):
            found = await client.history()
    return found


@pytest.mark.parametrize(("known", "asked"), [("accepted", [200, 200]), ("refused", [400, 200, 200])])
async def test_the_client_asks_for_what_was_sent_and_does_without_where_that_is_refused(
    tmp_path: Path, known: str, asked: list[int]
) -> None:
    with switched(tmp_path, include_inputs=known) as simulator:
        inputs = edit(simulator)
        simulator.submit(IMAGE_EDIT, inputs)
        (found,) = await read(simulator, calls=2)
        assert found.input == (inputs if known == "accepted" else None)
        assert [call.status for call in simulator.books.calls("/api/v3/predictions")] == asked
