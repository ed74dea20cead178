"""Ctrl-C and SIGTERM before a run listens for them, and a second time: a sentence, exit status 130, nothing lost."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_support import DEADLINE_SECONDS, Workplace, wait_until
from simulator_support import KEY, Simulator, simulator_thread
from warm_commands import WarmCommand

SENTENCE = "interrupted; run the same command again to continue. Nothing that was paid for is lost\n"
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def one_brief(workplace: Workplace, name: str = "a") -> str:
    return workplace.campaign([{"brief": name, "edit_prompt": name, "edit_image": workplace.picture()}])


def use(workplace: Workplace, service: Simulator) -> None:
    workplace.use_service(service.url, KEY)
    # The service's slow answers are what is interrupted, not their end in time.
    workplace.environment["CAMPAIGN_REQUEST_SECONDS"] = "9"


def interrupted(command: "subprocess.Popen[str] | WarmCommand") -> str:
    """What it said on stderr, which is no traceback, and the sentence once."""
    _, said = command.communicate(timeout=DEADLINE_SECONDS)
    assert command.returncode == 130, said
    assert said.count(SENTENCE) == 1, said
    assert "Traceback" not in said, said
    assert "Error logging to API" not in said, said
    return said


def until_said(command: "subprocess.Popen[str]", words: str) -> None:
    assert command.stderr is not None
    line = command.stderr.readline()
    while words not in line:
        assert line, "it ended before"
        line = command.stderr.readline()


def test_while_prefect_s_server_is_started(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "first time")
    command = workplace.start_cold("run", one_brief(workplace))
    until_said(command, "connecting to Prefect")
    command.send_signal(signal.SIGTERM)
    interrupted(command)
    # Nobody is left behind who would keep the server running.
    finished = workplace.run_cold("run", "spring.csv", "--json")
    assert (finished.status, finished.document["charged_usd"]) == (0, "0.028")


@BOTH
def test_while_the_run_is_set_up(tmp_path: Path, workplace: Workplace, number: int) -> None:
    faults = {"rules": [{"on": "balance", "do": "delay", "seconds": 8, "times": 1}]}
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        use(workplace, service)
        command = workplace.start_cold("run", one_brief(workplace))
        wait_until(lambda: bool(service.books.calls("/api/v3/balance")))
        command.send_signal(number)
        interrupted(command)
        assert service.books.predictions() == []
        assert workplace.run("run", "spring.csv").status == 0


@BOTH
def test_a_second_time_while_an_answer_is_waited_for(
    tmp_path: Path, workplace: Workplace, number: int
) -> None:
    faults = {"rules": [{"on": "submit", "do": "delay", "seconds": 8, "times": 1}]}
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        use(workplace, service)
        command = workplace.start_cold("run", one_brief(workplace))
        wait_until(lambda: bool(service.books.calls("/api/v3/kwaivgi")))
        command.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            # It waits for the answer: a prediction's id must not be lost.
            command.communicate(timeout=1)
        command.send_signal(number)
        interrupted(command)
        # What became of the request is found out by the next run.
        finished = workplace.run("run", "spring.csv", "--json")
        assert finished.status == 0, finished
        assert len(service.books.predictions()) == 1


def test_from_the_first_moment_on() -> None:
    """What answers the signals is there before anything that takes its time is imported."""
    script = (
        "import sys; import flows.end_at_once\n"
        "sys.meta_path.insert(0, type('Late', (), {'find_spec': staticmethod(\n"
        "    lambda name, *_: __import__('os').kill(__import__('os').getpid(), 15) if name == 'typer' else None)}))\n"
        "from flows.entry import main; main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "--help"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", SENTENCE)
