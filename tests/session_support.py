"""What ends a PostgreSQL session: another session that terminates it, and a wire that breaks around COMMIT."""

import selectors
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

import psycopg

SOCKET = ".s.PGSQL.5432"
Cut = Literal["before COMMIT arrives", "before its answer arrives"]


def terminate_all(folder: Path, *, but: int = 0) -> int:
    """End every other session of the server; how many there were."""
    with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND pid <> %s AND backend_type = 'client backend'",
            [but],
        ).fetchall()
    return len(ended)


class BreakingWire:
    """A socket in a folder of its own before a server's. ``cut`` says when the next session breaks."""

    def __init__(self, server: Path) -> None:
        self._server = server / SOCKET
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-wire-"))
        self.cut: Cut | None = None
        self.broken = 0
        # Whether the server can be reached through it; a session that stands is not touched.
        self.open = True
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / SOCKET))
        self._listening.listen(50)
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join(timeout=10)
        for thread in self._threads:
            thread.join(timeout=10)
        (self.folder / SOCKET).unlink()
        self.folder.rmdir()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            thread = threading.Thread(target=self._session, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _session(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
            server.connect(str(self._server))
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    assert isinstance(key.fileobj, socket.socket)
                    try:
                        content = key.fileobj.recv(65536)
                        if not content:
                            return
                        if self.cut and key.fileobj is client and b"COMMIT\0" in content:
                            if self.cut == "before its answer arrives":
                                server.sendall(content)
                                server.recv(65536)
                            self.cut = None
                            self.broken += 1
                            return
                        key.data.sendall(content)
                    except OSError:
                        return
