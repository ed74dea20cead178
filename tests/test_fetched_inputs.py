"""The folder of remote inputs: below CAMPAIGN_HOME, there only while a command runs."""

import os
import time
from pathlib import Path

from flows.fetched_inputs import fetched_inputs

_EIGHT_DAYS = 8 * 24 * 3600


def test_nothing_is_made_for_a_campaign_of_local_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with fetched_inputs(home):
        assert not home.exists()
    assert not home.exists()


def test_what_was_fetched_is_gone_afterwards(tmp_path: Path) -> None:
    with fetched_inputs(tmp_path) as folder:
        folder.mkdir(parents=True)
        (folder / "picture").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_left_goes_and_a_living_one_s_stays(tmp_path: Path) -> None:
    left, living = tmp_path / "inputs" / "left", tmp_path / "inputs" / "living"
    for folder in (left, living):
        folder.mkdir(parents=True)
        (folder / "picture").touch()
    long_ago = time.time() - _EIGHT_DAYS
    os.utime(left, (long_ago, long_ago))
    with fetched_inputs(tmp_path):
        pass
    assert list((tmp_path / "inputs").iterdir()) == [living]
