"""Prefect's server dies in the middle of a run: the run goes on, ends, and says so; the ledger decides, as ever."""

import json
import signal
from pathlib import Path

import psutil
from campaign_support import DEADLINE_SECONDS, Workplace, charged_millionths, wait_until
from simulator_support import KEY, simulator_thread


def test_the_run_goes_on_without_it(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "work")
    image = workplace.picture()
    names = [f"b{number}" for number in range(4)]
    campaign = workplace.campaign(
        [
            {
                "brief": name,
                "edit_prompt": name,
                "edit_image": image,
                "compose_prompt": f"@Image1 on oak {name}",
            }
            for name in names
        ]
    )
    with simulator_thread(tmp_path / "service", clock=0.05) as service:
        workplace.use_service(service.url, KEY)
        # Prefect's own patience with its server, a minute a call by default, is not what is tested.
        command = workplace.start_cold("run", campaign, "--json", PREFECT_CLIENT_MAX_RETRIES="0")
        wait_until(lambda: bool(service.books.predictions()))
        state = json.loads((workplace.home / "prefect/kling-campaigns/prefect.json").read_text("utf-8"))
        for number in (state["keeper"], state["server"]):
            psutil.Process(number).send_signal(signal.SIGKILL)
        out, said = command.communicate(timeout=DEADLINE_SECONDS)

        assert command.returncode == 0, said
        assert "Traceback" not in said
        assert said.count("Prefect's server does not answer any more") == 1, said
        assert "Prefect's record of this run is not complete" in said
        assert "EventsWorker" not in said
        assert "Error logging to API" not in said
        assert len(said.splitlines()) < 40, "it was told of every event"
        summary = json.loads(out)
        assert summary["briefs"] == {"total": 4, "done": 4, "failed": 0, "held": 0}
        assert len(service.books.predictions()) == 8
        assert service.books.charged_total() == charged_millionths(
            Path(workplace.folder, summary["out"], "cost.csv")
        )
