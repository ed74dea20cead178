"""One call of the official Python client, in an environment of its own: JSON in, JSON out.

Reads ``{"base_url", "call", "arguments", "options"}`` and ends with a line that says ``{"answer"}`` or
``{"refused"}``. The key comes as it does for everybody, by WAVESPEED_API_KEY.
"""

import json
import sys

from wavespeed import Client


def main() -> None:
    asked = json.load(sys.stdin)
    client = Client(base_url=asked["base_url"])
    try:
        said = {"answer": getattr(client, asked["call"])(*asked["arguments"], **asked["options"])}
    except (RuntimeError, TimeoutError) as error:
        said = {"refused": str(error)}
    sys.stdout.write(f"\n{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
