"""The text-book pipeline: what a good engineer writes from Prefect's documentation, without a ledger.

One task does a piece of work: upload, submit, wait, download. It is retried (``retries=3``), its result is persisted,
and it is cached by its inputs, so that a flow that is run again skips what is done. Every call has a timeout and is
checked. Nothing in it is wrong, but a request whose answer never came, or whose process died, is sent again.

``python benchmarks/textbook_pipeline.py BRIEFS.json OUT``: a list of {"brief", "image", "edit", "compose"}. The service
is that of ``WAVESPEED_BASE_URL`` and ``WAVESPEED_API_KEY``. Ends with 1 where a task failed.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.futures import PrefectFuture

EDIT = "kwaivgi/kling-image-v3/edit"
COMPOSE = "kwaivgi/kling-image-o3/edit"
POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 5.0


def service() -> httpx.Client:
    return httpx.Client(
        base_url=os.environ["WAVESPEED_BASE_URL"],
        headers={"Authorization": f"Bearer {os.environ['WAVESPEED_API_KEY']}"},
        timeout=TIMEOUT_SECONDS,
    )


def data(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    found: dict[str, Any] = response.json()["data"]
    return found


def upload(client: httpx.Client, picture: Path) -> str:
    with picture.open("rb") as file:
        answer = client.post("/api/v3/media/upload/binary", files={"file": (picture.name, file, "image/png")})
    return str(data(answer)["download_url"])


def result_of(client: httpx.Client, prediction_id: str) -> str:
    """The first output's address, once there is one."""
    while True:
        prediction = data(client.get(f"/api/v3/predictions/{prediction_id}/result"))
        if prediction["status"] == "completed":
            return str(prediction["outputs"][0])
        if prediction["status"] in {"failed", "cancelled", "timeout"}:
            raise RuntimeError(f"prediction {prediction_id}: {prediction.get('error')}")
        time.sleep(POLL_SECONDS)


def make(model: str, inputs: dict[str, Any], picture: Path, out: Path) -> str:
    with service() as client:
        address = upload(client, picture)
        media = {"image": address} if model == EDIT else {"images": [address]}
        prediction = data(client.post(f"/api/v3/{model}", json=inputs | media))
        made = client.get(result_of(client, prediction["id"]))
        made.raise_for_status()
        out.write_bytes(made.content)
    return str(out)


@task(retries=3, retry_delay_seconds=1, persist_result=True, cache_policy=INPUTS)
def edit_image(prompt: str, picture: str, out: str) -> str:
    return make(EDIT, {"prompt": prompt}, Path(picture), Path(out))


@task(retries=3, retry_delay_seconds=1, persist_result=True, cache_policy=INPUTS)
def compose_images(prompt: str, picture: str, out: str) -> str:
    return make(COMPOSE, {"prompt": prompt}, Path(picture), Path(out))


@flow
def textbook_campaign(briefs: list[dict[str, str]], out: str) -> None:
    composed: list[PrefectFuture[str]] = []
    for brief in briefs:
        edited = edit_image.submit(brief["edit"], brief["image"], f"{out}/{brief['brief']}-edit.png")
        composed.append(
            compose_images.submit(brief["compose"], edited, f"{out}/{brief['brief']}-compose.png")  # type: ignore[call-overload] # a future stands for its result
        )
    for future in composed:
        future.result()


if __name__ == "__main__":
    textbook_campaign(json.loads(Path(sys.argv[1]).read_text("utf-8")), sys.argv[2])
