"""The process that keeps one shared server: starts it, says where it answers, ends it when nobody uses it any more.

Run as ``python -m flows.service_keeper FOLDER NAME HEALTH_PATH SECRET_VARIABLE COMMAND…`` by ``flows.shared_service``.
Where SECRET_VARIABLE is not empty, the server finds a new secret in that variable, ``USER:PASSWORD``: an argument
could be read by everybody, an environment only by its owner.
"""

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import psutil

STOP_SECONDS = 20.0
PORT_TRIES = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        # No proxy is asked for loopback.
        with build_opener(ProxyHandler({})).open(url, timeout=5) as reply:
            return bool(reply.status < 500)
    except HTTPError as error:
        return error.code < 500
    except (URLError, OSError):
        return False


def start(
    command: list[str], health_path: str, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    """The server, answering. A port that somebody else took in between is given up for another one."""
    for _ in range(PORT_TRIES):
        port = free_port()
        server = subprocess.Popen(  # noqa: S603 - our parent's words
            [part.replace("{port}", str(port)) for part in command], env={**os.environ, **environment}
        )
        url = f"http://127.0.0.1:{port}"
        while server.poll() is None:
            if answers(url + health_path):
                return server, url
            time.sleep(0.1)
    raise SystemExit("the server ended before it answered")


def stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def keep(folder: Path, name: str, health_path: str, secret_variable: str, command: list[str]) -> None:
    # For itself and for the server, whose database may hold the account's key.
    os.umask(0o077)
    secret = f"campaign:{secrets.token_urlsafe(32)}" if secret_variable else None
    started: list[subprocess.Popen[bytes]] = []

    def end(_signal: int, _frame: FrameType | None) -> None:
        for server in started:
            stop(server)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    server, url = start(command, health_path, {secret_variable: secret} if secret is not None else {})
    started.append(server)
    state_file = folder / f"{name}.json"
    written = state_file.with_suffix(".writing")
    written.unlink(missing_ok=True)  # an old one would keep its mode
    written.write_text(
        json.dumps(
            {
                "url": url,
                "secret": secret,
                "keeper": os.getpid(),
                "keeper_started": psutil.Process().create_time(),
                "server": server.pid,
                "server_started": psutil.Process(server.pid).create_time(),
            }
        ),
        encoding="utf-8",
    )
    written.replace(state_file)

    def end_when_alone() -> None:
        with (folder / f"{name}.users").open("a") as users:
            fcntl.flock(users.fileno(), fcntl.LOCK_EX)
            stop(server)
            state_file.unlink(missing_ok=True)
            # Ends while the lock is held: who comes next finds no half-stopped server.
            os._exit(0)

    threading.Thread(target=end_when_alone, daemon=True).start()
    server.wait()
    state_file.unlink(missing_ok=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
