"""The real command in a process of its own, to be started, awaited and killed like a forked run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import crashing_command
from campaign_support import COMMAND
from warm_commands import fork_command

from blocks.money import dollars_text


class Started(Protocol):
    """A run under way, with the names that ``multiprocessing`` gives to such things."""

    @property
    def pid(self) -> int | None: ...

    @property
    def exitcode(self) -> int | None: ...

    def is_alive(self) -> bool: ...

    def kill(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...


@dataclass(frozen=True)
class RealCommand:
    """As ``direct_campaign.Command``, through the command line and Prefect."""

    folder: Path
    environment: Mapping[str, str]
    csv: str
    log: Path
    budget: int | None = None
    crash: tuple[str, int] | None = None

    def start(self) -> Started:
        arguments = ["run", self.csv]
        if self.budget is not None:
            arguments += ["--budget", dollars_text(self.budget)]
        program = [COMMAND, *arguments]
        if self.crash is not None:
            name, nth = self.crash
            program = [crashing_command.__file__, name, str(nth), "--", *arguments]
        return fork_command(program, self.folder, self.environment, self.log, self.log)
