"""The three stages as Prefect tasks: retried by cause, cached by what makes two works the same.

The tasks are thin on purpose. Prefect's cache saves time; the ledger, which ``generate`` asks first whatever Prefect
does, saves money. They have no tags: before each task that has any, Prefect asks its server for the tags' limits, and
waits for the answer. Without them nothing of a task waits for that server, whose states are told to it aside.
"""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from prefect import get_client, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff

from tasks.paying.generation import generate
from tasks.paying.retry_by_cause import MOST_TRIES, tried_again, wait_asked_for
from tasks.paying.workbench import Workbench, workbench
from tasks.work import StageResult, StageWork

NAME = "{work.brief}: {work.stage}"
_RECORDED_AT_ONCE = 8
# Paid work waits for that no longer.
RECORD_SECONDS = 20.0
# 2, 4 and 8 seconds, each up to half as long again, so that many briefs do not come back at the same moment.
RETRY_FACTOR = 2
JITTER = 0.5


def _cache_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    work: StageWork = parameters["work"]
    return work.key


async def _by_cause(_task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Also waits as long as the service asked for: Prefect knows no delay that an error brings with it."""
    error = await state.aresult(raise_on_failure=False)
    if not isinstance(error, BaseException):
        return False
    bench = workbench()
    if not tried_again(error, task_run.run_count, patience_seconds=bench.settings.patience_seconds):
        return False
    if bench.stop.reason is not None:
        return False
    if wait := wait_asked_for(error):
        await bench.stop.sleep(wait)
    return True


def _stage_task(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "task_run_name": NAME,
        "retries": MOST_TRIES,
        "retry_delay_seconds": exponential_backoff(RETRY_FACTOR),
        "retry_jitter_factor": JITTER,
        "retry_condition_fn": _by_cause,
        "cache_key_fn": _cache_key,
        "persist_result": True,
        # A task starts only for what the ledger does not have: whatever Prefect's cache says, its body asks again.
        "refresh_cache": True,
        "result_serializer": "json",
    }


@task(**_stage_task("edit image"))
async def edit_image(work: StageWork) -> dict[str, Any]:
    """Changes one picture as the brief's prompt says. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


@task(**_stage_task("compose images"))
async def compose_images(work: StageWork) -> dict[str, Any]:
    """Makes pictures from several references. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


@task(**_stage_task("edit video"))
async def edit_video(work: StageWork) -> dict[str, Any]:
    """Changes one clip, guided by the brief's pictures. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


_TASKS = {"edit": edit_image, "compose": compose_images, "video": edit_video}


async def run_stage(bench: Workbench, work: StageWork) -> StageResult:
    """Runs the stage's task, awaited in this event loop (a future of its own would cost 90 ms), and notes how it ended.

    Raises what the last try raised. Where Prefect's server has gone, the stage is run without it.
    """
    if bench.without_prefect:
        return await _without_prefect(bench, work)
    try:
        return await _through_prefect(bench, work)
    except Exception as error:
        if not _is_prefect_s(error):
            raise
        # Whatever its body had done by then is in the ledger, which is asked first again.
        bench.go_on_without_prefect()
        return await _without_prefect(bench, work)


async def _through_prefect(bench: Workbench, work: StageWork) -> StageResult:
    state = await _awaitable(_TASKS[work.stage](work, return_state=True))
    task_run_id = state.state_details.task_run_id
    if task_run_id is not None:
        bench.task_runs[task_run_id] = state.name or ""
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, BaseException):
        raise outcome
    return StageResult.model_validate(outcome)


def _is_prefect_s(error: Exception) -> bool:
    """Prefect's own trouble. What our tasks raise on purpose is of this project; they let nothing of httpx's out."""
    return type(error).__module__.partition(".")[0] in {"prefect", "httpx", "httpcore"}


async def _without_prefect(bench: Workbench, work: StageWork) -> StageResult:
    """With the tries that the task would have."""
    tries = 0
    while True:
        tries += 1
        try:
            return await generate(bench, work)
        except Exception as error:
            patience = bench.settings.patience_seconds
            if bench.stop.reason is not None or not tried_again(error, tries, patience_seconds=patience):
                raise
            await bench.stop.sleep(RETRY_FACTOR**tries + (wait_asked_for(error) or 0.0))


async def record_cached(bench: Workbench, stages: Sequence[tuple[str, str]]) -> None:
    """Enters stages (brief and stage) as ``Cached`` in Prefect's record, without starting a task for any of them.

    Does nothing outside a flow run. The record is for people: where it cannot be written, the run notes it.
    """
    if bench.flow_run_id is None or bench.without_prefect or not stages:
        return
    flow_run_id = UUID(bench.flow_run_id)
    places = asyncio.Semaphore(_RECORDED_AT_ONCE)
    entered: list[str] = []
    failed: list[Exception] = []

    async def enter(brief: str, stage: str) -> None:
        async with places:
            try:
                await client.create_task_run(
                    _TASKS[stage],
                    flow_run_id,
                    dynamic_key=str(uuid4()),
                    name=NAME.format(work=SimpleNamespace(brief=brief, stage=stage)),
                    state=Completed(name="Cached"),
                )
            except Exception as error:  # noqa: BLE001 - whatever Prefect's trouble is, the run goes on
                failed.append(error)
            else:
                entered.append(brief)

    try:
        async with asyncio.timeout(RECORD_SECONDS), get_client() as client:
            await asyncio.gather(*(enter(*place) for place in stages))
    except TimeoutError:
        # Else every stage that is found to be cached later would wait as long.
        bench.go_on_without_prefect()
        failed.append(TimeoutError(f"no answer within {RECORD_SECONDS:.0f} s"))
    if failed:
        lacking = len(stages) - len(entered)
        lacks = "a cached stage" if lacking == 1 else f"{lacking} cached stages"
        bench.note(f"Prefect's record lacks {lacks}: {failed[0]}")


async def _awaitable(call: Any) -> State[Any]:
    """Prefect's annotations hide that an async task called with ``return_state`` is awaited all the same."""
    state: State[Any] = await call
    return state
