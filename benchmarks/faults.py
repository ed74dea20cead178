"""Carries out seeded schedules of faults and counts, from the service's books, what was paid twice or lost.

``make faults`` carries out a thousand; ``make faults SEED=N`` carries out one and shows what happened. At the end the
text-book pipeline (``textbook_pipeline.py``) stands beside it, measured in the same run. Ends with 1 where an invariant
failed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1])]

if TYPE_CHECKING:
    from comparison import Compared
    from paid_once import Result, Tally

SHAPES = ("pictures", "equal work", "clip")
# Much of a schedule is waiting.
AT_ONCE = 6
_EVERY_SECONDS = 30.0


def main() -> int:
    options = _options()
    # Imported here: processes are forked from one that has loaded this file, and set up Prefect for themselves.
    from certificates import read_certificates_once  # noqa: PLC0415
    from fault_schedules import undisturbed_results  # noqa: PLC0415

    read_certificates_once()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        base = Path(name)
        undisturbed = undisturbed_results(lambda shape: base / shape.replace(" ", "-"))
        for shape in SHAPES:
            undisturbed(shape)
        if options.seed is not None:
            return _one(options.seed, base, undisturbed)
        started = time.monotonic()
        seeds = range(options.first, options.first + options.count)
        total, failed = _all(seeds, base, undisturbed, options.jobs)
        seconds = time.monotonic() - started
        compared = _compare(options.compare, base / "comparison", options.jobs)
    _summarise(total, failed, seconds, compared)
    paid_twice = any(one.ours.duplicates or one.ours.unfinished for one in compared)
    return 1 if failed or paid_twice else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1000, help="how many schedules (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first schedule's seed (0)")
    parser.add_argument("--seed", type=int, help="carry out this schedule only, and show it")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help=f"schedules at the same time ({AT_ONCE})")
    parser.add_argument(
        "--compare", type=int, default=12, help="schedules of each kind for the text-book pipeline (12)"
    )
    return parser.parse_args()


def _one(seed: int, base: Path, undisturbed: "Callable[[str], Result]") -> int:
    from fault_schedules import ScheduleFailed, carry_out, schedule_of  # noqa: PLC0415 - see above

    print(schedule_of(seed))
    try:
        tally = carry_out(seed, base / str(seed), undisturbed)
    except ScheduleFailed as error:
        print(error)
        return 1
    print((base / str(seed) / "log.txt").read_text("utf-8", errors="replace"))
    print(tally)
    return 0


def _all(
    seeds: Sequence[int], base: Path, undisturbed: "Callable[[str], Result]", jobs: int
) -> "tuple[Tally, list[int]]":
    from fault_schedules import ScheduleFailed, carry_out  # noqa: PLC0415 - see above
    from paid_once import Tally  # noqa: PLC0415 - see above

    total, failed, done = Tally(), list[int](), 0
    said = time.monotonic()
    print(f"{len(seeds)} schedules, from seed {seeds[0] if seeds else 0} on, {jobs} at a time", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        seed_of = {pool.submit(carry_out, seed, base / str(seed), undisturbed): seed for seed in seeds}
        for future in as_completed(seed_of):
            done += 1
            try:
                total += future.result()
                # A thousand of them would fill the disk.
                shutil.rmtree(base / str(seed_of[future]))
            except ScheduleFailed as error:
                failed.append(seed_of[future])
                total += error.tally
                print(f"FAILED {error}", flush=True)
            if time.monotonic() - said > _EVERY_SECONDS:
                said = time.monotonic()
                print(f"{done} of {len(seeds)} done, {len(failed)} failed", flush=True)
    return total, sorted(failed)


def _compare(count: int, base: Path, jobs: int) -> "list[Compared]":
    if not count:
        return []
    from comparison import compare  # noqa: PLC0415 - see above

    print(f"the same trouble for this project and for the text-book pipeline, {count} times each", flush=True)
    return compare(count, base, max(1, jobs // 2))


def _summarise(total: "Tally", failed: list[int], seconds: float, compared: "list[Compared]") -> None:
    for line in _lines(total, failed, seconds, compared):
        print(line)


def _lines(total: "Tally", failed: list[int], seconds: float, compared: "list[Compared]") -> Iterator[str]:
    yield f"\n{total.schedules} schedules in {seconds:.0f} s, by the service's books:"
    yield f"{total.kills:8} runs killed by SIGKILL, {total.interrupts} interrupted"
    yield f"{total.lost_replies:8} lost replies, {total.other_faults} other faults"
    yield f"{total.restarts:8} restarts of the service"
    yield f"{total.accepted:8} predictions accepted"
    yield f"{total.unwitnessed:8} schedules ended with a question to a person: no witness of the history's silence"
    yield f"{total.lost_too_often:8} because answers to one piece of work were lost more often than silence is believed"
    yield f"{total.held:8} for any other reason (a history that shows no inputs, or other ones)"
    yield f"{total.duplicates:8} duplicate payments"
    yield f"{total.orphans:8} orphans"
    yield f"{total.lost:8} assets lost"
    yield f"{total.over_budget:8} budgets passed"
    for one in compared:
        yield f"\nduplicate payments per {one.trouble}, of {one.ours.schedules} campaigns of {one.pieces} pieces:"
        for name, outcome in (("this project", one.ours), ("text-book pipeline", one.textbook)):
            yield f"{outcome.per_event:8.2f} {name} ({outcome.duplicates} in {outcome.events})"
            if outcome.unfinished:
                yield f"{outcome.unfinished:8} of them not finished"
    yield f"\nschedules that failed: {', '.join(map(str, failed)) if failed else 'none'}"


if __name__ == "__main__":
    sys.exit(main())
