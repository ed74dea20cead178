"""Carries out seeded schedules of faults; see ``make faults``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1])]
from fault_schedules import carry_out, undisturbed_results  # noqa: E402 - the tests' folder is no package


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10)
    a = parser.parse_args()
    base = Path(tempfile.mkdtemp())
    undisturbed = undisturbed_results(lambda s: base / s)
    for s in ("pictures", "equal work", "clip"):
        undisturbed(s)
    seeds = [a.seed] if a.seed is not None else range(a.first, a.first + a.count)
    bad = []
    t0 = time.time()
    for seed in seeds:
        t = time.time()
        try:
            carry_out(seed, base / str(seed), undisturbed)
            print(seed, f"ok {time.time() - t:.1f} s", flush=True)
        except AssertionError as e:
            bad.append(seed)
            print(seed, f"FAILED {time.time() - t:.1f} s", e, flush=True)
    print(f"{len(bad)} failed: {bad}, {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
