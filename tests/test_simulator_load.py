"""Many predictions at once."""

import asyncio
import time
from pathlib import Path

import httpx
from simulator_support import KEY, eventually, picture, simulator_thread

from simulator.catalogue import IMAGE_EDIT


def test_300_predictions_in_flight_are_carried_and_looked_at_quickly(tmp_path: Path) -> None:
    with simulator_thread(tmp_path, clock=0.002, level="gold") as simulator:
        url = simulator.upload(picture())

        async def campaign() -> tuple[list[str], float]:
            headers = {"Authorization": f"Bearer {KEY}"}
            # A client of httpx is slow where hundreds of requests wait for its connections.
            at_once = asyncio.Semaphore(10)
            async with httpx.AsyncClient(
                base_url=simulator.url, headers=headers, trust_env=False, timeout=60
            ) as client:

                async def one(number: int) -> str:
                    inputs = {"prompt": f"number {number}", "image": url}
                    async with at_once:
                        response = await client.post(f"/api/v3/{IMAGE_EDIT}", json=inputs)
                    return str(response.json()["data"]["id"])

                async def see(prediction_id: str) -> None:
                    async with at_once:
                        await client.get(f"/api/v3/predictions/{prediction_id}/result")

                ids = await asyncio.gather(*(one(number) for number in range(300)))
                before = time.process_time()
                await asyncio.gather(*(see(each) for each in ids))
                return list(ids), time.process_time() - before

        ids, seconds = asyncio.run(campaign())
        assert len(set(ids)) == 300
        # About 2 ms of this process each, the client's share included.
        assert seconds < 300 * 0.015
        eventually(lambda: simulator.books.unfinished_count() == 0)
        assert simulator.books.charged_total() == 300 * 28_000
