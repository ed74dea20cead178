"""Standard output that is full or closed, standard error that is, and readers that go: a sentence, the right status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_support import COMMAND, DEADLINE_SECONDS, Workplace
from simulator_support import KEY, simulator_thread

LOST = "standard output cannot be written to (No space left on device), so what the command printed there is lost"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


def ended(workplace: Workplace, redirection: str, *arguments: str) -> tuple[int, str, str]:
    """The command as a shell starts it with this redirection: its exit status, and what could be read of it."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {redirection}', COMMAND, *arguments],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def briefs(workplace: Workplace) -> str:
    return workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "spring.csv"),
        ("plan", "spring.csv", "--json"),
        ("runs", "--json"),
        ("--help",),
        ("simulate",),
    ],
)
def test_output_that_is_full_is_one_sentence(
    workplace: Workplace, briefs: str, arguments: tuple[str, ...]
) -> None:
    assert briefs == "spring.csv"
    status, _, said = ended(workplace, "> /dev/full", *arguments)
    assert status == 1, said
    assert said.count(LOST) == 1, said
    assert len([line for line in said.splitlines() if "simulated WaveSpeed" not in line]) == 1, said


def test_closed_output_is_one_sentence(workplace: Workplace, briefs: str) -> None:
    status, _, said = ended(workplace, ">&-", "plan", briefs)
    assert status == 1
    assert said.startswith("standard output cannot be written to (Bad file descriptor)")
    assert len(said.splitlines()) == 1


@needs_full
def test_a_run_whose_output_is_full_loses_nothing(workplace: Workplace, briefs: str, tmp_path: Path) -> None:
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, KEY)
        status, _, said = ended(workplace, "> /dev/full", "run", briefs, "--json")
        assert status == 1, said
        assert LOST in said
        assert "1 done" in said
        again = workplace.run("run", briefs, "--json")
        assert again.document["stages"]["cached"] == 1
        assert len(service.books.predictions()) == 1


@needs_full
def test_what_the_run_came_to_wins_over_its_lost_output(workplace: Workplace, tmp_path: Path) -> None:
    """An account that refuses is 4, whatever becomes of the document."""
    briefs = workplace.campaign(
        [{"brief": name, "edit_prompt": name, "edit_image": workplace.picture()} for name in ("a", "b")]
    )
    with simulator_thread(
        tmp_path / "service", faults={"switches": {"starting_credit_usd": "0.03"}}
    ) as service:
        workplace.use_service(service.url, KEY)
        status, _, said = ended(workplace, "> /dev/full", "run", briefs, "--json")
        assert status == 4, said
        assert LOST in said


@pytest.mark.parametrize("redirection", [pytest.param("2> /dev/full", marks=needs_full), "<&- 2>&-"])
def test_what_cannot_be_said_stops_no_run(workplace: Workplace, briefs: str, redirection: str) -> None:
    status, output, _ = ended(workplace, redirection, "run", briefs, "--json")
    assert status == 0
    assert json.loads(output)["briefs"]["done"] == 1
    status, output, _ = ended(workplace, redirection, "plan", "gone.csv")
    assert (status, output) == (2, "")
    status, _, _ = ended(workplace, f"{redirection} >&-", "plan", briefs)
    assert status == 1


def test_a_reader_that_goes_is_no_trouble_worth_a_word(workplace: Workplace, briefs: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [COMMAND, "plan", briefs, "--json"],
            cwd=workplace.folder,
            env=workplace.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def in_a_process(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


def test_no_file_takes_the_number_of_a_stream_that_is_closed() -> None:
    """Else a library that writes to standard error would write into the ledger."""
    done = in_a_process(
        "import os; saved = os.dup(1); [os.close(number) for number in (0, 1, 2)]\n"
        "from flows.standard_streams import mend_standard_streams; mend_standard_streams()\n"
        "os.write(saved, str(os.open(os.devnull, os.O_RDONLY)).encode())\n"
    )
    assert int(done.stdout) > 2
