"""The command `campaign`, forked from a process that has loaded what it runs.

Loading Prefect, pandas and the rest takes 2 of the 4 seconds of CPU that a small run in a process of its own costs. So
each worker of the tests has one warm process, from which commands are forked; it runs nothing itself and has no thread.
A forked command has its own environment, folder, standard streams and exit status, and can be killed like any other.
Prefect, which reads its settings when it is imported, counts as not imported until the command imports it.

Tests of what a process does before `main` (what it imports, how quickly, signals from a terminal) run the installed
command instead.
"""

import atexit
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, Any, Self

_CONTEXT = multiprocessing.get_context("forkserver")
# The main module, which every child would load again otherwise, is the test runner.
_CONTEXT.set_forkserver_preload(["__main__", "warm_modules", "direct_campaign"])


def fork(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Calls it in a process forked from the warm one, whose ``exitcode`` is negative where a signal ended it."""
    _warm_up()
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


@cache
def _warm_up() -> None:
    """Starts the warm process where it finds these tests: Python 3.11 does not tell it this process's own path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    try:
        ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def fork_command(
    program: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Connection | Path,
    errors: Connection | Path,
) -> ForkServerProcess:
    """Starts ``program``: the command or ``crashing_command.py``, with arguments. Output goes to a pipe or a log."""
    return fork(_run_here, list(program), folder, dict(environment), output, errors)


class WarmCommand:
    """A forked command with the names that ``subprocess.Popen`` gives to such things; its outputs are text."""

    def __init__(self, program: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.args = list(program)
        self.stdin: IO[str] | None = None
        output, output_end = _CONTEXT.Pipe(duplex=False)
        errors, errors_end = _CONTEXT.Pipe(duplex=False)
        with output, output_end, errors, errors_end:
            self._process = fork_command(program, folder, environment, output_end, errors_end)
            self.stdout: IO[str] = os.fdopen(os.dup(output.fileno()), encoding="utf-8")
            self.stderr: IO[str] = os.fdopen(os.dup(errors.fileno()), encoding="utf-8")
        self._readers: list[threading.Thread] = []
        self._read: dict[int, str] = {}

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Reads both outputs to their ends and waits for the command's; after TimeoutExpired it can be called again."""
        started = time.monotonic()
        if not self._readers:
            self._readers = [
                threading.Thread(target=self._read_all, args=(number, stream), daemon=True)
                for number, stream in ((1, self.stdout), (2, self.stderr))
            ]
            for reader in self._readers:
                reader.start()
        for reader in self._readers:
            reader.join(_left(timeout, started))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(_left(timeout, started))
        return self._read[1], self._read[2]

    def _read_all(self, number: int, stream: IO[str]) -> None:
        with stream:
            self._read[number] = stream.read()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


def _left(timeout: float | None, started: float) -> float | None:
    return None if timeout is None else max(0.0, started + timeout - time.monotonic())


def _run_here(
    program: list[str],
    folder: Path,
    environment: dict[str, str],
    output: Connection | Path,
    errors: Connection | Path,
) -> None:
    """In the forked process: what `main` finds is as in a fresh one."""
    for number, end in ((1, output), (2, errors)):
        if isinstance(end, Path):
            with end.open("ab") as log:
                os.dup2(log.fileno(), number)
        else:
            with end:
                os.dup2(end.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = program
    # Imported here: this process has them, and the one that asks for commands needs none of them.
    import crashing_command  # noqa: PLC0415
    import warm_modules  # noqa: PLC0415

    from flows import command_line  # noqa: PLC0415

    _Asleep(warm_modules.WITH_PREFECT).fall()
    crashing = program[0] == crashing_command.__file__
    try:
        (crashing_command.main if crashing else command_line.main)()
    finally:
        # A process that multiprocessing starts does not do this by itself.
        threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does before it calls these
        atexit._run_exitfuncs()


class _Asleep(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loaded modules that count as not imported; whoever imports one of them wakes all, with today's settings."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._modules: dict[str, ModuleType] = {}

    def fall(self) -> None:
        self._modules = {name: sys.modules.pop(name) for name in self._names if name in sys.modules}
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._modules:
            return None
        sys.meta_path.remove(self)
        sys.modules.update(self._modules)
        import prefect.context  # noqa: PLC0415
        from prefect.logging.configuration import setup_logging  # noqa: PLC0415

        prefect.context.refresh_global_settings_context()
        setup_logging(incremental=False)
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = self._modules[spec.name]
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec
