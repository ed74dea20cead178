"""Who works with the ledger, and whether they are still alive."""

import os
import platform
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from blocks.ledger.part import Part
from blocks.ledger.tables import generations, owners

# A dead owner on another machine is replaced after this long.
# A living one renews its leases several times within.
LEASE_SECONDS = 40.0
HEARTBEAT_SECONDS = 10.0
_ON_LINUX = platform.system() == "Linux"
NO_LEASE: dict[str, None] = {"lease_owner": None, "lease_token": None, "lease_run": None, "leased_at": None}
# Rows of owners that died without leaving are cleared away once nobody can take them for alive.
_FORGET_OWNERS_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Process:
    """A process such that no other, at any time, on any machine, is taken for it."""

    host: str
    pid: int
    start: str

    @classmethod
    def current(cls) -> "Process":
        pid = os.getpid()
        return cls(host=_host(), pid=pid, start=_start_of(pid))

    def is_dead(self) -> bool:
        """Say True only where that is certain: it ran on this host and is gone."""
        if self.host != _host():
            return False
        try:
            return not psutil.pid_exists(self.pid) or _start_of(self.pid) != self.start
        except (psutil.Error, OSError):
            # It ended while it was looked at, or this user may not look at it.
            return not psutil.pid_exists(self.pid)


@cache
def _host() -> str:
    """Name the machine, its boot and its process numbering: containers may share a name yet count apart."""
    name = platform.node() or f"{uuid.getnode():x}"
    if not _ON_LINUX:
        return name
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{name}/{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _start_of(pid: int) -> str:
    """Tell a process from a later one of the same id, and from its own uncleared remains."""
    process = psutil.Process(pid)
    if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
        return "ended"
    if _ON_LINUX:
        # psutil counts from a boot time that moves when the clock is set; the kernel's count does not.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return fields.rpartition(")")[2].split()[19]
    return f"{process.create_time():.2f}"


class Owners(Part):
    """Owners of leases: a run of the command registers as one and keeps its heart beating."""

    def register_owner(self) -> str:
        """Register an owner for this process; give it to ``claim``, ``heartbeat`` and ``leave``."""
        owner = uuid.uuid4().hex
        with self._database.write() as connection:
            now = self._database.now(connection)
            _forget_old(connection, now)
            _insert_owner(connection, owner, now)
        return owner

    def heartbeat(self, owner: str) -> None:
        """Renew all of the owner's leases. To be called every ``HEARTBEAT_SECONDS``.

        SQLite's main file is brought up to date as well: a plain copy of it is at most a heartbeat old.
        """
        with self._database.write() as connection:
            now = self._database.now(connection)
            renewed = connection.execute(
                sa.update(owners).where(owners.c.id == owner).values(heartbeat_at=now)
            )
            if renewed.rowcount == 0:
                # The machine slept so long that the row was cleared away, its leases with it.
                _insert_owner(connection, owner, now)
        self._database.checkpoint()

    def leave(self, owner: str) -> None:
        """Give all of the owner's leases back and take it off the books."""
        with self._database.write() as connection:
            _drop(connection, [owner])
        for key in [key for key, lease in self._leases.items() if lease.owner == owner]:
            del self._leases[key]


def is_alive(row: sa.Row[Any], now: datetime) -> bool:
    """Say whether the owner of a row that is joined with ``owners`` is at work; one that has left is not."""
    if row.heartbeat_at is None or row.heartbeat_at + timedelta(seconds=LEASE_SECONDS) <= now:
        return False
    return not Process(row.host, row.pid, row.process_start).is_dead()


def _insert_owner(connection: sa.Connection, owner: str, now: datetime) -> None:
    process = Process.current()
    connection.execute(
        sa.insert(owners).values(
            id=owner,
            host=process.host,
            pid=process.pid,
            process_start=process.start,
            registered_at=now,
            heartbeat_at=now,
        )
    )


def _forget_old(connection: sa.Connection, now: datetime) -> None:
    old = sa.select(owners.c.id).where(owners.c.heartbeat_at < now - _FORGET_OWNERS_AFTER)
    _drop(connection, connection.execute(old).scalars().all())


def _drop(connection: sa.Connection, ids: Sequence[str]) -> None:
    if not ids:
        return
    connection.execute(sa.update(generations).where(generations.c.lease_owner.in_(ids)).values(NO_LEASE))
    connection.execute(sa.delete(owners).where(owners.c.id.in_(ids)))
