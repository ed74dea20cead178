"""Where the official clients are installed: each in a folder of its own, from its own lock file.

Beside this module stands one folder a client, with what it needs and the lock of it. An environment is a copy
of that folder with everything installed into it. It is made once and kept below the project's own environment,
until the folder or the interpreter changes.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from filelock import FileLock

CLIENTS = Path(__file__).parent
_KEPT_IN = Path(sys.prefix) / "conformance"
_READY = ".ready"
_INSTALL_SECONDS = 600
_LAST_LINES = 8


def python_environment(name: str) -> Path:
    """The folder with the virtual environment of this client; its programs are in ``bin``."""
    return _made(name, sys.version)


def node_environment(name: str) -> Path:
    """The folder with the Node project of this client; its packages are in ``node_modules``."""
    return _made(name, node_version())


@functools.cache
def node_version() -> str:
    """Fails the test where there is no Node: nothing is skipped."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: `make system` installs it, or says how", pytrace=False)
    return subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def _made(name: str, interpreter: str) -> Path:
    environment = _made_or_why_not(name, interpreter)
    if isinstance(environment, str):
        pytest.fail(environment, pytrace=False)
    return environment


@functools.cache
def _made_or_why_not(name: str, interpreter: str) -> Path | str:
    """The folder, or why this client cannot be had: found out once, however many tests ask."""
    source = CLIENTS / name
    digest = hashlib.sha256(interpreter.encode() + sysconfig.get_platform().encode())
    for file in sorted(source.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    folder = _KEPT_IN / f"{name}-{digest.hexdigest()[:12]}"
    _KEPT_IN.mkdir(exist_ok=True)
    # Tests run in several processes, and each of them may come here first.
    with FileLock(_KEPT_IN / f"{name}.lock", timeout=_INSTALL_SECONDS):
        if not (folder / _READY).exists():
            for outdated in _KEPT_IN.glob(f"{name}-*"):
                shutil.rmtree(outdated)
            shutil.copytree(source, folder)
            if problem := _install(folder):
                return f"the official client {name} cannot be had:\n{problem}"
            (folder / _READY).touch()
    return folder


def _install(folder: Path) -> str | None:
    """Returns what went wrong, if anything did."""
    if (folder / "package.json").exists():
        # No script of any package runs: none of these clients needs one.
        commands = [["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]]
    else:
        # The lock holds all that is needed; resolving it again would only take time.
        install = ["install", "--no-deps", "--require-hashes", "--requirement", "requirements.txt"]
        commands = [[sys.executable, "-m", "venv", "."], ["bin/python", "-m", "pip", *install]]
    for command in commands:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-_LAST_LINES:])
            return f"`{' '.join(command)}` ended with {done.returncode}\n{said}"
    return None
