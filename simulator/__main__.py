"""``python -m simulator``: serves until stopped; the URL is the only line on stdout."""

import argparse
import logging
import os
import sys
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.server import serve
from simulator.settings import LEVELS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the books")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--clock", type=float, default=0.02, help="multiplies every latency (default 0.02)")
    parser.add_argument("--key", help="the API key to accept; without it any is accepted")
    parser.add_argument(
        "--faults", type=Path, help="JSON file of switches and rules; see simulator/faults.py"
    )
    parser.add_argument("--level", choices=LEVELS, default="silver", help="account level (default silver)")
    options = parser.parse_args()
    # Its books and pictures are this user's alone.
    os.umask(0o077)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        serve(**vars(options), on_ready=lambda url: print(url, flush=True))  # noqa: T201 - its one line of data
    except SimulatorError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's message
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
