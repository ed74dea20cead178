"""Runs the command `campaign` in a process that dies at a chosen step.

``python tests/crashing_command.py "after Ledger.intend" 2 -- run spring.csv`` is ``campaign run spring.csv``, killed by
SIGKILL when the ledger has committed the second intent.
"""

import sys

from crash_points import BY_NAME, arm

from blocks.settings import load_settings, point_prefect_home
from flows.command_line import main as campaign
from flows.prefect_server import prepare_environment


def main() -> None:
    point, nth, separator, *arguments = sys.argv[1:]
    assert separator == "--"
    prepare_environment()
    point_prefect_home(load_settings())
    # Whatever a run uses is loaded before the point is armed: every module's own name for the function is replaced.
    import flows.campaign  # noqa: F401, PLC0415 - Prefect reads its settings when it is imported

    arm(BY_NAME[point], int(nth))
    sys.argv = ["campaign", *arguments]
    campaign()


if __name__ == "__main__":
    main()
