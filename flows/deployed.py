"""What a run by deployment may be told by its parameters: files below its worker's root, and nothing else."""

from dataclasses import replace
from pathlib import Path

from blocks.errors import InvalidInput
from flows.preparation import RunOptions


def confined(options: RunOptions, root: Path) -> RunOptions:
    """The options with whole paths; relative ones are relative to ``root``, which is resolved already.

    Raises InvalidInput, before anything is read or made, where links and ``..`` lead a path out of the root.
    """
    problems = []
    for parameter, given in (("csv", options.csv), ("out", options.out)):
        try:
            inside = (root / given).resolve().is_relative_to(root)
        except (OSError, RuntimeError, ValueError) as error:
            problems.append(f"{parameter} {given}: is no path ({error})")
            continue
        if not inside:
            problems.append(
                f"{parameter} {given}: lies outside {root}, below which a run by deployment reads and writes; move it "
                "there, or start the worker with another CAMPAIGN_PROJECT"
            )
    if problems:
        raise InvalidInput("\n".join(problems))
    return replace(options, csv=root / options.csv, out=(root / options.out).resolve())
