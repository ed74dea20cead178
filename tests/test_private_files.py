"""Who may read what a command makes: in the home the user alone, in the run's folder whoever the user's umask lets."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from campaign_support import COMMAND, DEADLINE_SECONDS, Workplace

from blocks.private_files import make_folder_for_people, tighten_home

UMASK = 0o026


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): mode(path) for path in root.rglob("*") if not path.is_socket()}


def wrong_in_home(home: Path) -> dict[str, str]:
    """What is not 0700 or 0600 of what lies below it."""
    return {
        name: oct(found)
        for name, found in modes(home).items()
        if found != (0o700 if (home / name).is_dir() else 0o600)
    }


def campaign(workplace: Workplace, *arguments: str) -> None:
    """The command as a user with this umask runs it."""
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
        umask=UMASK,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_a_home_is_the_users_alone_and_a_runs_folder_has_the_users_umask(tmp_path: Path) -> None:
    """A first run, with the embedded simulator and a Prefect server of its own below the home."""
    workplace = Workplace(tmp_path / "work")
    briefs = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    campaign(workplace, "run", briefs, "--out", "deep/runs")
    found = modes(workplace.home)
    for name in (
        "ledger.sqlite",
        "assets/objects",
        "simulator",
        "prefect",
        "prefect/kling-campaigns/prefect.log",
    ):
        assert name in found
    assert mode(workplace.home) == 0o700
    assert wrong_in_home(workplace.home) == {}

    campaign(workplace, "runs", "--page", "pages")
    campaign(workplace, "new", "fresh/new.csv")
    campaign(workplace, "plan", briefs, "--save", "plan.json")
    assert wrong_in_home(workplace.home) == {}
    for made in ("deep", "pages", "fresh"):
        root = workplace.folder / made
        assert mode(root) == 0o777 & ~UMASK
        assert_open(root)
    assert mode(workplace.folder / "plan.json") == 0o666 & ~UMASK


def assert_open(root: Path) -> None:
    found = modes(root)
    assert found
    for name, has in found.items():
        assert has == (0o777 if (root / name).is_dir() else 0o666) & ~UMASK, name


def test_a_home_of_an_earlier_version_is_tightened_when_it_is_used(workplace: Workplace) -> None:
    briefs = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    assert workplace.run("run", briefs).status == 0
    for path in (workplace.home, *workplace.home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert workplace.run("plan", briefs).status == 0
    assert mode(workplace.home) == 0o700
    assert wrong_in_home(workplace.home) == {}


@pytest.mark.parametrize("command", [("plan", "spring.csv"), ("runs",)])
def test_a_folder_that_the_user_made_stays_as_it_is_and_what_we_make_in_it_is_private(
    workplace: Workplace, command: tuple[str, ...]
) -> None:
    home = workplace.folder / "shared"
    home.mkdir()
    home.chmod(0o775)
    (home / "theirs.txt").touch()
    (home / "theirs.txt").chmod(0o644)
    workplace.environment["CAMPAIGN_HOME"] = "shared"
    briefs = workplace.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}])
    assert workplace.run("run", briefs).status == 0
    assert workplace.run(*command).status == 0
    assert mode(home) == 0o775
    assert wrong_in_home(home) == {"theirs.txt": "0o644"}


def test_links_and_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    (home / "assets").mkdir(parents=True)
    outside.mkdir()
    (outside / "a").touch()
    for path in (outside, outside / "a", home / "assets"):
        path.chmod(0o755)
    (home / "assets" / "link").symlink_to(outside / "a")
    (home / "simulator").symlink_to(outside)
    tighten_home(home, whole=False)
    assert (mode(outside), mode(outside / "a")) == (0o755, 0o755)
    assert mode(home / "assets") == 0o700
    tighten_home(tmp_path / "nowhere", whole=True)
    assert not (tmp_path / "nowhere").exists()


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o711)
    make_folder_for_people(tmp_path / "there" / "new" / "deep")
    assert mode(tmp_path / "there") == 0o711
    assert os.access(tmp_path / "there" / "new" / "deep", os.W_OK)
