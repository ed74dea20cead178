"""One look at something, which answers for all who asked before it began."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

Seen = TypeVar("Seen")


@dataclass
class _Look:
    since: list[datetime] = field(default_factory=list)
    begun: bool = False
    task: asyncio.Task[Any] | None = None


class SharedLooks:
    """By name, in one event loop: while a look is under way, all who come meanwhile share the next one."""

    def __init__(self) -> None:
        self._newest: dict[str, _Look] = {}

    def look(
        self, name: str, since: datetime, carry_out: Callable[[datetime], Awaitable[Seen]]
    ) -> asyncio.Task[Seen]:
        """Give the look that begins after this call, and reaches back to ``since`` at least; nobody may cancel it.

        ``carry_out`` looks once, from a moment on; of those who share a look, it is the first one's.
        """
        look = self._newest.get(name)
        if look is None or look.begun:
            before = look.task if look is not None else None
            look = self._newest[name] = _Look()
            look.task = asyncio.create_task(_begun(look, before, carry_out))
            # Where all who waited for it are gone, nobody else asks how it ended.
            look.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        look.since.append(since)
        assert look.task is not None  # made together with it
        return look.task


async def _begun(
    look: _Look, before: asyncio.Task[Any] | None, carry_out: Callable[[datetime], Awaitable[Any]]
) -> Any:
    if before is not None:
        await asyncio.wait({before})
    look.begun = True
    return await carry_out(min(look.since))
