"""The real command in a process of its own, to be started, awaited and killed like a forked run."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from campaign_support import COMMAND

from blocks.money import dollars_text

_CRASHING_COMMAND = str(Path(__file__).with_name("crashing_command.py"))


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
        command = [COMMAND, *arguments]
        if self.crash is not None:
            name, nth = self.crash
            command = [sys.executable, _CRASHING_COMMAND, name, str(nth), "--", *arguments]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return _StartedCommand(process)


class _StartedCommand:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def join(self, timeout: float | None = None) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return  # whoever asks for the exit code learns that there is none
