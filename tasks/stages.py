"""The three stages as Prefect tasks: retried for what is transient only, cached by what makes two works the same.

The tasks are thin on purpose. Prefect's cache saves time; the ledger, which ``generate`` asks first whatever Prefect
does, saves money.
"""

from typing import Any

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff

from blocks.errors import InputNotFetched, Transient
from tasks.generation import generate
from tasks.work import StageResult, StageWork
from tasks.workbench import Workbench, workbench

RETRIES = 3
# 2, 4 and 8 seconds, each up to half as long again, so that many briefs do not come back at the same moment.
RETRY_FACTOR = 2
JITTER = 0.5


def _cache_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    work: StageWork = parameters["work"]
    return work.key


async def _only_transient(_task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Also waits as long as the service asked for: Prefect knows no delay that an error brings with it."""
    error = await state.aresult(raise_on_failure=False)
    if not isinstance(error, Transient):
        return False
    if isinstance(error, InputNotFetched) and task_run.run_count > 1:
        return False  # uploaded afresh once; the input itself is the trouble
    bench = workbench()
    if bench.stop.reason is not None:
        return False
    if error.retry_after:
        await bench.stop.sleep(error.retry_after)
    return True


def _stage_task(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "task_run_name": "{work.brief}: {work.stage}",
        "retries": RETRIES,
        "retry_delay_seconds": exponential_backoff(RETRY_FACTOR),
        "retry_jitter_factor": JITTER,
        "retry_condition_fn": _only_transient,
        "cache_key_fn": _cache_key,
        "persist_result": True,
        "result_serializer": "json",
    }


@task(**_stage_task("edit image"), tags={"edit", "kling-image-v3"})
async def edit_image(work: StageWork) -> dict[str, Any]:
    """Changes one picture as the brief's prompt says. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


@task(**_stage_task("compose images"), tags={"compose", "kling-image-o3"})
async def compose_images(work: StageWork) -> dict[str, Any]:
    """Makes pictures from several references. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


@task(**_stage_task("edit video"), tags={"video", "kling-video-o3-pro"})
async def edit_video(work: StageWork) -> dict[str, Any]:
    """Changes one clip, guided by the brief's pictures. Returns a StageResult as JSON."""
    return (await generate(workbench(), work)).model_dump(mode="json")


_TASKS = {"edit": edit_image, "compose": compose_images, "video": edit_video}
# The ledger does not have it: whatever Prefect's cache says, the task's body is to ask the ledger again.
_REFRESHING = {stage: stage_task.with_options(refresh_cache=True) for stage, stage_task in _TASKS.items()}


async def run_stage(bench: Workbench, work: StageWork, *, refresh: bool) -> StageResult:
    """Runs the stage's task, awaited in this event loop (a future of its own would cost 90 ms), and notes how it ended.

    Raises what the task's last try raised.
    """
    state = await _awaitable((_REFRESHING if refresh else _TASKS)[work.stage](work, return_state=True))
    task_run_id = state.state_details.task_run_id
    if task_run_id is not None:
        bench.task_runs[task_run_id] = state.name or ""
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, BaseException):
        raise outcome
    return StageResult.model_validate(outcome)


async def _awaitable(call: Any) -> State[Any]:
    """Prefect's annotations hide that an async task called with ``return_state`` is awaited all the same."""
    state: State[Any] = await call
    return state
