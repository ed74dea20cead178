"""The Prefect server behind a run: the one that ``PREFECT_API_URL`` names, else one of our own while commands need it.

Prefect's own temporary server is killed with task-run events still in its queues: most task runs never reach its
record. Ours is told to write them quickly, is shared by commands that run at the same time (two servers on one SQLite
file lock each other out), and is left only when every task run of the flow is on record in its final state.

It holds what blocks say, keys included. So it answers only who shows the secret that its keeper made, and no page of
another origin may read what it says.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Collection, Mapping, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from pathlib import Path
from uuid import UUID

from blocks.errors import InvalidInput
from blocks.proxies import keep_loopback_direct
from flows.shared_service import ServiceKind, enter_shared_service

QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
_SERVER = {
    **QUIET,
    "PREFECT_UI_ENABLED": "false",
    # No page has this origin; the server's own needs no permission.
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "none",
    # Measured: 8 instead of 23 ms of CPU a task run.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    # Nothing is scheduled on a server that lives for minutes.
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}
RECORD_SECONDS = 60.0
# A server that was named, and says nothing for so long, does not answer.
_ANSWER_SECONDS = 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prefect_service(prefect_home: Path) -> ServiceKind:
    """How the server behind a run is started."""
    return ServiceKind(
        name="prefect",
        command=(
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "flows.prefect_app:create",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--log-level",
            "error",
            "--lifespan",
            "on",
        ),
        health_path="/api/health",
        environment={**_SERVER, "PREFECT_HOME": str(prefect_home)},
        secret_variable="PREFECT_SERVER_API_AUTH_STRING",  # noqa: S106 - its name
    )


@asynccontextmanager
async def prefect_server(prefect_home: Path) -> AsyncIterator[str]:
    """The API's address; sets ``PREFECT_API_URL`` inside where nobody had set it, and what its server is to be shown.

    Raises InvalidInput where a server that was named does not answer, or does not let us in.
    """
    # `plan` must not import Prefect
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    if configured := PREFECT_API_URL.value():
        await _require_answer(configured)
        yield configured
        return
    async with AsyncExitStack() as stack:
        service = await enter_shared_service(
            stack, prefect_service(prefect_home), prefect_home / "kling-campaigns"
        )
        url = f"{service.url}/api"
        stack.enter_context(
            temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: service.secret})
        )
        yield url


async def _require_answer(url: str) -> None:
    from prefect import get_client  # noqa: PLC0415 - see above
    from prefect.exceptions import PrefectHTTPStatusError  # noqa: PLC0415 - see above

    problem: Exception | None = None
    try:
        async with asyncio.timeout(_ANSWER_SECONDS), get_client() as client:
            problem = await client.api_healthcheck()
            if problem is None:
                # Whether it is well is told to everybody; this is not.
                await client.read_flows(limit=1)
    except TimeoutError:
        problem = TimeoutError(f"silent for {_ANSWER_SECONDS:.0f} s")
    except PrefectHTTPStatusError as error:
        if error.response.status_code in {401, 403}:
            raise InvalidInput(_refused(url, error.response.status_code)) from error
        problem = error
    except Exception as error:  # noqa: BLE001 - it answers, but not as Prefect does
        problem = error
    if problem is not None:
        said = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise InvalidInput(
            f"PREFECT_API_URL {url}: no Prefect server answers there ({said}). Nothing was spent; start it, correct "
            "the address, or unset the variable: then a server is started for the run"
        )


def _refused(url: str, status: int) -> str:
    """Which setting lets us in: Prefect shows the auth string where there is one, and the key otherwise."""
    from prefect.settings import (  # noqa: PLC0415 - see above
        PREFECT_API_AUTH_STRING,
        PREFECT_API_KEY,
        PREFECT_CLOUD_API_URL,
    )

    if url.startswith(str(PREFECT_CLOUD_API_URL.value())):
        name, value, wanted = "PREFECT_API_KEY", PREFECT_API_KEY.value(), "an API key of that workspace"
    else:
        name, value = "PREFECT_API_AUTH_STRING", PREFECT_API_AUTH_STRING.value()
        wanted = "what PREFECT_SERVER_API_AUTH_STRING is on the server"
    state = "is not the right one" if value else "is not set"
    return (
        f"PREFECT_API_URL {url}: its server does not let this program in ({status}), as {name} {state}; set it to "
        f"{wanted}. Nothing was spent"
    )


def prepare_environment() -> None:
    """Before Prefect is first imported: no telemetry, and its console log leaves the terminal to our progress view."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    spare_loopback(os.environ)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # Where its server goes away, Prefect shows every event and log line that it cannot send; the run says it once.
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    logging.raiseExceptions = False
    keep_loopback_direct()


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Keeps Prefect's clients from asking a proxy for this machine, which would be shown the secret."""
    # Where both are there, the small letters count.
    name = "no_proxy" if "no_proxy" in environment else "NO_PROXY"
    spared = [host.strip() for host in environment.get(name, "").split(",") if host.strip()]
    if "*" not in spared:
        environment[name] = ",".join(dict.fromkeys([*spared, *_LOOPBACK]))


async def all_on_record(flow_run_id: UUID, final_states: Mapping[UUID, str]) -> Collection[UUID]:
    """Waits until the server's record shows every task run in its final state; returns those that it still lacks.

    ``final_states`` maps the ids of this flow run's task runs to the names of the states they ended in. Waits no longer
    than RECORD_SECONDS, and raises nothing: the ledger and the run's tables do not depend on Prefect's record.
    """
    missing = dict(final_states)
    try:
        async with asyncio.timeout(RECORD_SECONDS):
            await _everything_sent()
            await _until_shown(flow_run_id, missing)
    except Exception:  # noqa: BLE001 - a server that went away fails in many ways, all of which mean the same
        give_up_on_prefect()
    return missing.keys()


async def _everything_sent() -> None:
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - see above
    from prefect.logging.handlers import APILogHandler  # noqa: PLC0415 - see above

    sent = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        EventsWorker.instance().wait_until_empty()
        with contextlib.suppress(RuntimeError):  # the loop may have been closed meanwhile
            loop.call_soon_threadsafe(sent.set)

    # A thread of its own: one of the loop's would have to be waited for at the end, however long that takes. In this
    # context: where Prefect does not find the server's address, it starts another server.
    threading.Thread(target=copy_context().run, args=(wait,), daemon=True).start()
    await sent.wait()
    # What was logged is sent while the server is there; later, Prefect would complain on the terminal that it is not.
    await APILogHandler.aflush()


async def _until_shown(flow_run_id: UUID, missing: dict[UUID, str]) -> None:
    """Takes out of ``missing`` what the server shows, until nothing is left."""
    from prefect import get_client  # noqa: PLC0415 - see above
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId  # noqa: PLC0415 - see above
    from prefect.client.schemas.sorting import TaskRunSort  # noqa: PLC0415 - see above

    page_size = 200
    async with get_client() as client:
        while missing:
            offset = 0
            while page := await client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
                sort=TaskRunSort.ID_DESC,
                limit=page_size,
                offset=offset,
            ):
                for run in page:
                    if run.state_name == missing.get(run.id):
                        del missing[run.id]
                offset += page_size
            if missing:
                await asyncio.sleep(0.25)


_gone = threading.Event()


def give_up_on_prefect() -> None:
    """Its server does not take what is still to be told to it: nobody waits for that at the command's end."""
    _gone.set()


def is_given_up() -> bool:
    return _gone.is_set()
