"""Runs the flow through Prefect as long as its server answers, and to its end without it where that goes away.

Prefect would try for minutes to tell a server that hangs of each of its states. What a run pays for and leaves needs
none of that: so where the server is gone before the flow has begun, the flow's own function is called; where it goes
away later, the flow goes on, and nobody waits for Prefect once it has ended.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.objects import State

from flows.campaign import campaign
from flows.launch import Launch, launch_with
from flows.prefect_server import all_on_record, give_up_on_prefect
from flows.prefect_watch import PrefectWatch, watched_server


async def run_through_prefect(launch: Launch, parameters: Mapping[str, Any]) -> str | None:
    """Runs the flow; how it ended is in ``launch``. Returns what Prefect's record lacks of it, in words, if anything.

    Raises RuntimeError where Prefect did not call the flow's function, and what that raises unforeseen where it is
    called without Prefect.
    """
    launch_with(launch)
    async with watched_server() as watch:
        flow = asyncio.create_task(_called(parameters))
        trouble = "its server does not answer"
        if await watch.unless_gone(flow):
            # What our function does wrong comes as a state; Prefect's own trouble, such as a server that refuses, is
            # raised.
            error = flow.exception()
            if error is None:
                return await _on_record(launch, flow.result(), watch)
            trouble = str(error) or type(error).__name__
        give_up_on_prefect()
        launch.go_on_without_prefect()
        if not launch.begun:
            # Should Prefect still come to calling it, it finds that it has begun.
            await campaign.fn(**parameters)
        else:
            ended = asyncio.create_task(launch.ended.wait())
            await asyncio.wait((flow, ended), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        return f"Prefect's record of this run is not complete: {trouble}"


async def _called(parameters: Mapping[str, Any]) -> State[Any]:
    """Prefect's annotations hide that an async flow called with ``return_state`` is awaited all the same."""
    call: Any = campaign(**parameters, return_state=True)
    state: State[Any] = await call
    return state


async def _on_record(launch: Launch, state: State[Any], watch: PrefectWatch) -> str | None:
    if not launch.begun:
        raise RuntimeError(f"Prefect did not begin it: {state.name}: {state.message}")
    flow_run_id = state.state_details.flow_run_id
    if not launch.task_runs or flow_run_id is None:
        return None
    asking = asyncio.create_task(all_on_record(flow_run_id, launch.task_runs))
    missing = asking.result() if await watch.unless_gone(asking) else launch.task_runs.keys()
    if not asking.done():
        give_up_on_prefect()
    if not missing:
        return None
    runs = "1 task run" if len(missing) == 1 else f"{len(missing)} task runs"
    return f"Prefect's record lacks the last state of {runs}; the run's tables have all"
