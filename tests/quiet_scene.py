"""A campaign's folder and a service that answers at once: what a test disturbs in them is all that is disturbed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from campaign_support import DEADLINE_SECONDS, Workplace
from direct_campaign import Command
from fault_service import FaultyService
from simulator_support import KEY

from blocks.ledger import Ledger
from tasks.record import RunRecord


class QuietScene:
    """Commands are forked from a warm process and run without Prefect."""

    def __init__(
        self, folder: Path, faults: dict[str, Any] | None = None, *, service: FaultyService | None = None
    ) -> None:
        self.workplace = Workplace(folder / "work")
        self.folder = self.workplace.folder
        self.home = self.workplace.home
        self.log = folder / "log"
        self.service = service or FaultyService(folder / "service", clock=0.0005).start(faults)
        self.workplace.use_service(self.service.url, KEY)
        self.workplace.environment["CAMPAIGN_POLL_SECONDS"] = "0.05"
        self.image = self.workplace.picture(size=(320, 320))
        self.csv = ""
        # Of the runs from now on: in millionths of a dollar; and where they die, and at which time that they come by.
        self.budget: int | None = None
        self.crash: tuple[str, int] | None = None

    def briefs(self, *names: str, **more: str) -> None:
        """A picture each; ``more`` columns are the same for all."""
        self.rows([{"brief": name, "edit_prompt": name, "edit_image": self.image} | more for name in names])

    def rows(self, rows: Sequence[Mapping[str, str]], name: str = "spring.csv") -> None:
        self.csv = self.workplace.campaign(rows, name)

    def start(
        self,
        *,
        flags: str = "",
        first: str = "",
        **environment: str,
    ) -> Any:
        assert flags in {"", "--partial"}
        own = {
            name: value
            for name, value in (self.workplace.environment | environment).items()
            if name.startswith(("WAVESPEED_", "CAMPAIGN_"))
        }
        return Command(
            self.folder,
            own,
            self.csv,
            self.log,
            budget=self.budget,
            crash=self.crash,
            partial=flags == "--partial",
            first=first,
        ).start()

    def run(
        self,
        *,
        flags: str = "",
        first: str = "",
        **environment: str,
    ) -> int:
        """The exit status; what was said is in ``said``, and is no traceback."""
        self.log.unlink(missing_ok=True)
        status = ended(self.start(flags=flags, first=first, **environment))
        assert "Traceback" not in self.said, self.said
        return status

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""

    @property
    def billed(self) -> list[str]:
        """The prompts that were paid for, each as often as it was."""
        books = self.service.books
        prompts = {one.id: one.prompt or "" for one in books.predictions()}
        return sorted(
            prompts[c.prediction_id] for c in books.charges() if c.kind == "deduct" and c.prediction_id
        )

    def ledger(self) -> Ledger:
        own = f"sqlite:///{self.home / 'ledger.sqlite'}"
        return Ledger.open(self.workplace.environment.get("CAMPAIGN_LEDGER_URL", own))

    def last(self) -> RunRecord:
        """Of the runs in this folder; where the ledger is this folder's own, of all its runs."""
        run = "latest"
        if "CAMPAIGN_LEDGER_URL" in self.workplace.environment:
            manifests = self.folder.glob("runs/*/manifest.json")
            run = max(manifests, key=lambda path: path.stat().st_mtime_ns).parent.name
        with self.ledger() as ledger:
            text = ledger.run_record(run)
        assert text is not None, "the run did not come to its end"
        return RunRecord.model_validate_json(text)

    def assets(self) -> dict[str, bytes]:
        """What lies in the last run's folder, by brief and file."""
        place = self.folder / "runs" / self.last().run / "assets"
        return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*.*"))}

    def close(self) -> None:
        self.service.stop()
        self.service.books.close()


def ended(process: Any) -> int:
    process.join(DEADLINE_SECONDS)
    assert process.exitcode is not None, "it did not end in time"
    return int(process.exitcode)
