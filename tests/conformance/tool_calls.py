"""Calls of a tool server over standard input and output, by the official Python client of that protocol.

Reads ``{"command", "environment", "tool", "arguments"}`` and ends with a line that says ``{"answer"}``, the text
of the result, or ``{"refused"}``. Runs in the environment of ``python_wavespeed_mcp``, which brings that
protocol's client.
"""

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def ask(asked: dict[str, Any]) -> dict[str, Any]:
    program, *arguments = asked["command"]
    server = StdioServerParameters(command=program, args=arguments, env=asked["environment"])
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        result = await session.call_tool(asked["tool"], asked["arguments"])
        text = "".join(part.text for part in result.content if part.type == "text")
        return {"refused" if result.isError else "answer": text}


def main() -> None:
    sys.stdout.write(f"\n{json.dumps(asyncio.run(ask(json.load(sys.stdin))))}\n")


if __name__ == "__main__":
    main()
