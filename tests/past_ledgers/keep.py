"""Keeps a ledger of today's version as a fixture: run it, once, with each new migration, before it is released.

``python tests/past_ledgers/keep.py`` writes ``tests/past_ledgers/VERSION.sql``: a run that died with one attempt in
each state. Never change such a file afterwards: it is what people have on their disks.
"""

import sqlite3
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from ledger_support import SERVICE, HandClock, Worker, sha256_of, work_named  # noqa: E402 - the tests' folder is no package

from blocks.ledger import AttemptState, Ledger  # noqa: E402 - found by the line above
from blocks.ledger.tables import NEWEST_VERSION  # noqa: E402 - found by the line above


def main() -> None:
    kept = Path(__file__).with_name(f"{NEWEST_VERSION}.sql")
    if kept.exists():
        sys.exit(f"{kept} is there already; it stays as it is")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.sqlite"
        clock = HandClock()
        clock.forward(-30 * 86_400)
        with Ledger.open(f"sqlite:///{file}", clock=clock) as ledger:
            worker = Worker.of(ledger, budget=1_000_000)
            for state in AttemptState:
                attempt = worker.bring(work_named(state.value), state)
                if state is AttemptState.STORED:
                    ledger.settle(attempt.id, charged=28_000, run_id=worker.run_id)
            ledger.remember_upload(
                SERVICE,
                sha256_of("input"),
                url="https://media.example.org/uploads/input.png",
                expires_at=clock.moment + timedelta(days=7),
            )
            facts = {"media_type": "image/png", "width": 1360}
            ledger.remember_inputs([("https://example.org/a.png?signature=secret", "picture", "ab", facts)])
        connection = sqlite3.connect(file)
        try:
            # Its process is on another machine, as far as any reader of this file can tell, and long gone.
            connection.execute("UPDATE owners SET host = 'another machine', pid = 1, process_start = '1'")
            connection.commit()
            kept.write_text("".join(f"{line}\n" for line in connection.iterdump()), encoding="utf-8")
        finally:
            connection.close()


if __name__ == "__main__":
    main()
