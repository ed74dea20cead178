"""Every step can be the last: a run is killed there, run again, and everything is as if nothing had happened."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaign_support import DEADLINE_SECONDS, PrefectApi, Workplace, charged_millionths
from crash_points import CRASH_POINTS, RESUMING_POINTS, TROUBLES, WRITE, CrashPoint
from direct_campaign import Command
from fault_service import FaultyService
from paid_once import Campaign, Result
from real_campaign import RealCommand, Started
from simulator_support import KEY

KILLED = -signal.SIGKILL


def three_briefs(workplace: Workplace) -> str:
    """Four pieces of work in five stages: two briefs begin with equal work."""
    image, other = workplace.picture(size=(320, 320)), workplace.picture("b.png", size=(320, 320), seed=5)
    return workplace.campaign(
        [
            {
                "brief": "a",
                "edit_prompt": "warm",
                "edit_image": image,
                "edit_num_images": "2",
                "compose_prompt": "@Image1 on oak",
            },
            {"brief": "b", "edit_prompt": "warm", "edit_image": other, "compose_prompt": "@Image1 on slate"},
            {"brief": "c", "edit_prompt": "warm", "edit_image": image, "edit_num_images": "2"},
        ]
    )


class Scene:
    """A campaign in a folder of its own, and the service that it is run against."""

    def __init__(self, folder: Path, trouble: str, prefect_api: PrefectApi | None = None) -> None:
        self.workplace = Workplace(folder / "work", prefect_api)
        self.service = FaultyService(folder / "service").start(TROUBLES[trouble])
        self.workplace.use_service(self.service.url, KEY)
        self.workplace.environment |= {
            "CAMPAIGN_POLL_SECONDS": "0.05",
            "CAMPAIGN_REQUEST_SECONDS": "1.5",
            "CAMPAIGN_QUIET_SECONDS": "0.5",
        }
        self.csv = three_briefs(self.workplace)
        self.log = folder / "log.txt"

    def run(self, crash: tuple[str, int] | None = None) -> int | None:
        process = self.start(crash)
        process.join(DEADLINE_SECONDS)
        return process.exitcode

    def start(self, crash: tuple[str, int] | None = None) -> Started:
        environment = {
            name: value
            for name, value in self.workplace.environment.items()
            if name.startswith(("WAVESPEED_", "CAMPAIGN_"))
        }
        return Command(self.workplace.folder, environment, self.csv, self.log, crash=crash).start()

    def run_command(self, crash: tuple[str, int]) -> int | None:
        """The real command, killed."""
        process = RealCommand(
            self.workplace.folder, self.workplace.environment, self.csv, self.log, crash=crash
        ).start()
        process.join(DEADLINE_SECONDS)
        return process.exitcode

    def run_to_the_end(self) -> None:
        """Twice at most: a trouble that the killed run did not meet may yet fail a brief of the next one."""
        status = self.run()
        if status == 1:
            status = self.run()
        assert status == 0, self.said

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def campaign(self) -> Campaign:
        return Campaign(self.workplace.folder, self.service.books)


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    scene = Scene(tmp_path, getattr(request, "param", ""))
    with scene.service:
        yield scene


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    """The result of a run in which nothing dies, by the trouble that the service has."""
    results: dict[str, Result] = {}

    def result_of(trouble: str) -> Result:
        if trouble not in results:
            scene = Scene(tmp_path_factory.mktemp("undisturbed"), trouble)
            with scene.service:
                scene.run_to_the_end()
                results[trouble] = scene.campaign().result()
        return results[trouble]

    return result_of


def crashes() -> Iterator[tuple[CrashPoint, int]]:
    for point in CRASH_POINTS:
        yield point, 1
        if point.target == WRITE:
            yield from ((point, nth) for nth in range(2, 10))
        elif not point.needs and point.name in REPEATED:
            yield point, 3


# Reached by several pieces of work: the others are at other steps at that moment.
REPEATED = {
    name
    for step in ("claim", "reserve", "intend", "submitted", "completed", "stored")
    for name in (f"before the commit of Ledger.{step}", f"after Ledger.{step}")
} | {
    "after WaveSpeedClient.submit",
    "before _read in WaveSpeedClient.submit",
    "after RemoteFiles.fetch",
    "after Path.replace in AssetStore.keep",
    "after AssetStore.place",
}


@pytest.mark.parametrize(
    ("point", "nth", "scene"),
    [
        pytest.param(point, nth, point.needs, id=f"{point.name.replace(' ', '_')}-{nth}")
        for point, nth in crashes()
    ],
    indirect=["scene"],
)
def test_a_run_killed_at_any_step_is_finished_by_the_next(
    scene: Scene, undisturbed: Callable[[str], Result], point: CrashPoint, nth: int
) -> None:
    assert scene.run((point.name, nth)) == KILLED, f"it never came by {point.name}: {scene.said}"

    scene.run_to_the_end()

    scene.campaign().check_done(undisturbed(point.needs))


@pytest.mark.parametrize("point", RESUMING_POINTS, ids=lambda point: point.name.replace(" ", "_"))
def test_a_run_that_goes_on_can_be_killed_as_well(
    scene: Scene, undisturbed: Callable[[str], Result], point: CrashPoint
) -> None:
    assert scene.run(("after Ledger.submitted", 2)) == KILLED
    assert scene.run((point.name, 1)) == KILLED, scene.said
    assert scene.run((point.name, 2)) == KILLED, scene.said

    scene.run_to_the_end()

    scene.campaign().check_done(undisturbed(""))


def test_a_run_killed_while_it_wrote_its_tables_can_write_them_again(
    tmp_path: Path, prefect_api: PrefectApi, undisturbed: Callable[[str], Result]
) -> None:
    scene = Scene(tmp_path, "", prefect_api)
    with scene.service:
        assert scene.run(("before write_atomically", 4)) == KILLED, scene.said
        run = scene.campaign().last.run
        assert not (scene.workplace.out(run) / "report.html").exists()

        finished = scene.workplace.run("report", run)

        assert finished.status == 0, finished
        scene.campaign().check_done(undisturbed(""))
        assert (
            charged_millionths(scene.workplace.out(run) / "cost.csv") == scene.service.books.charged_total()
        )


def test_what_a_killed_run_paid_for_is_charged_in_one_of_the_two_that_follow(
    scene: Scene, undisturbed: Callable[[str], Result]
) -> None:
    assert scene.run(("before close_run", 1)) == KILLED, scene.said

    both = [scene.start(), scene.start()]
    for process in both:
        process.join(DEADLINE_SECONDS)

    assert [process.exitcode for process in both] == [0, 0], scene.said
    scene.campaign().check_done(undisturbed(""))


# The same through the real command and Prefect, at one step of each kind.
THROUGH_PREFECT = [
    ("after Ledger.start_run", 1),
    ("after Ledger.reserve", 2),
    ("after Ledger.intend", 2),
    ("after WaveSpeedClient.submit", 3),
    ("before the commit of Ledger.submitted", 1),
    ("after Path.replace in AssetStore.keep", 2),
    ("after Ledger.stored", 2),
    ("after generate", 1),
    ("before write_atomically", 3),
]


@pytest.mark.parametrize(("name", "nth"), THROUGH_PREFECT)
def test_the_command_killed_at_a_step_is_finished_by_the_next(
    tmp_path: Path, prefect_api: PrefectApi, undisturbed: Callable[[str], Result], name: str, nth: int
) -> None:
    scene = Scene(tmp_path, "", prefect_api)
    with scene.service:
        assert scene.run_command((name, nth)) == KILLED, scene.said

        finished = scene.workplace.run("run", scene.csv, "--json")

        assert finished.status == 0, finished
        scene.campaign().check_done(undisturbed(""))
