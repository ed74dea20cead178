"""Measures how long a campaign that is there already takes to plan and to replay, and counts its requests.

``python benchmarks/replay.py [--briefs N] [--megapixels M]``: real pictures of M megapixels show what reading costs.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1])]
from caching_support import (  # noqa: E402 - the tests' folder is no package
    plan_of,
    run_now,
    settings_at,
    without_network_and_prefect,
)
from large_campaign import large_campaign, put_there  # noqa: E402 - likewise

from flows.preparation import how_long  # noqa: E402 - likewise
from tasks.briefs.inputs import read_and_check  # noqa: E402 - likewise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--briefs", type=int, default=1000)
    parser.add_argument("--megapixels", type=float, default=0.09)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, without_network_and_prefect() as service:
        base = Path(name)
        settings = settings_at(base / "home")
        path = large_campaign(base / "campaign", options.briefs)
        if options.megapixels > 0.1:
            _enlarge(path.parent, options.megapixels)
        stages = put_there(settings, path)
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        print(
            f"{options.briefs} briefs, {stages} stages, {size / 1e6:.0f} MB of inputs, {os.cpu_count()} cores"
        )
        _timed("CSV and inputs read, decoded and hashed", lambda: asyncio.run(read_and_check(path)))
        plan = _timed("the whole plan", lambda: asyncio.run(plan_of(settings, path)))
        assert plan.wholly_cached
        _timed("how long it takes", lambda: how_long(settings, plan))
        _timed("a replay, tables and page aside", lambda: run_now(settings, path, frozen=True))
        print(f"{'requests to the service':42} {len(service.calls):8}")
        rewritten = path.read_text("utf-8").replace("look ", "another look ")
        path.write_text(rewritten, encoding="utf-8")
        plan = _timed("a plan of which everything changed", lambda: asyncio.run(plan_of(settings, path)))
        assert len(plan.to_generate) == stages
        _timed("how long that takes", lambda: how_long(settings, plan))


def _timed(what: str, work: Callable[[], Any]) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    print(f"{what:42} {time.perf_counter() - wall:6.2f} s, {time.process_time() - cpu:6.2f} s of CPU")
    return found


def _enlarge(folder: Path, megapixels: float) -> None:
    """Pictures as a camera makes them, instead of the small ones; no two of the same bytes."""
    side = int((megapixels * 1e6) ** 0.5)
    rows, columns = np.mgrid[0:side, 0:side]
    noise = np.random.default_rng(1).integers(0, 12, (side, side))
    base = np.stack(
        [rows * 200 // side + noise, columns * 200 // side + noise, (rows + columns) % 250], axis=-1
    )
    picture = Image.fromarray(base.astype(np.uint8))
    for number, file in enumerate(sorted(folder.glob("*.png"))):
        picture.save(file, "JPEG", quality=85, comment=f"{number}".encode())


if __name__ == "__main__":
    main()
