"""What Prefect's UI shows of a run beside its states: its name and tags, how far it is, and what came of it.

A handful of artifacts a run, however large it is: each costs about 10 ms, and nobody reads a thousand. They are for
people who look. Whatever keeps them from being written never keeps a run from going on, and is noted in one line.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect import get_client
from prefect.artifacts import Artifact, ImageArtifact, MarkdownArtifact, ProgressArtifact, TableArtifact
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import FlowRunContext

from flows.closing import ClosedRun
from tasks.accounting.markdown_summary import markdown_summary, plain
from tasks.accounting.tables import Table, run_tables
from tasks.page.texts import count
from tasks.paying.workbench import Workbench
from tasks.record import RunRecord
from tasks.run_files.contact_sheet import contact_sheet
from tasks.watching.progress_state import RunProgress

# Nobody waits longer for what is only shown.
LIMIT_SECONDS = 5.0
UPDATE_SECONDS = 2.0
# A run of a thousand briefs has tables of megabytes; these are in its folder.
MOST_ROWS = 200
_LONGEST_KEY = 60


@asynccontextmanager
async def shown_progress(bench: Workbench) -> AsyncIterator[None]:
    """Names the flow run after the run, tags it, and keeps a progress artifact moving while the context lasts.

    Does nothing outside a flow run, or where Prefect's server has gone.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or bench.without_prefect:
        yield
        return
    flow_run = context.flow_run
    key = artifact_key(bench.progress.campaign, "progress")
    artifact: UUID | None = None
    try:
        async with asyncio.timeout(LIMIT_SECONDS), get_client() as client:
            tags = {*flow_run.tags, bench.progress.campaign, bench.provider}
            await client.update_flow_run(flow_run.id, name=bench.run_id, tags=sorted(tags))
            shown = ProgressArtifact(key=key, progress=0.0, description=_description(bench.progress))
            artifact = (await shown.acreate(client)).id
    except Exception as error:  # noqa: BLE001 - whatever Prefect's trouble is, the run goes on
        bench.note(f"Prefect does not show this run's progress: {type(error).__name__}")
    if artifact is None:
        yield
        return
    moving = asyncio.create_task(_move(artifact, bench))
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        if not bench.without_prefect:
            await _move_once(artifact, bench.progress)


async def publish_run(bench: Workbench, closed: ClosedRun) -> None:
    """Enters the summary, both tables and a picture of what is finished. Likewise."""
    if FlowRunContext.get() is None or bench.without_prefect:
        return
    try:
        artifacts = await asyncio.to_thread(artifacts_of, closed)
        async with asyncio.timeout(LIMIT_SECONDS), get_client() as client:
            await asyncio.gather(*(artifact.acreate(client) for artifact in artifacts))
    except Exception as error:  # noqa: BLE001 - likewise
        bench.progress.note(f"Prefect does not show all of this run's results: {type(error).__name__}")


def artifacts_of(closed: ClosedRun) -> list[Artifact]:
    """What is entered when a run has ended: at most four."""
    record = closed.record
    tables = run_tables(record)
    cost, latency = tables.cost_summary, tables.latency_summary
    found: list[Artifact] = [
        MarkdownArtifact(
            key=artifact_key(record.campaign, "summary"),
            description=_about(record, "what became of the run"),
            markdown=markdown_summary(record, closed.folder, closed.sentence),
        ),
        TableArtifact(
            key=artifact_key(record.campaign, "cost"),
            description=_described(record, "what each stage cost", tables.cost, cost, "cost.csv"),
            table=_rows(tables.cost),
        ),
        TableArtifact(
            key=artifact_key(record.campaign, "latency"),
            description=_described(
                record, "how long each stage took", tables.latency, latency, "latency.csv"
            ),
            table=_rows(tables.latency),
        ),
    ]
    sheet = contact_sheet(record, closed.folder)
    if sheet is not None:
        content, number = sheet
        finished = sum(brief.status == "done" for brief in record.briefs)
        lie_in = closed.folder.absolute() / "assets"
        what = f"{number} of {count(finished, 'finished brief')}; the files lie in {lie_in}"
        found.append(
            ImageArtifact(
                key=artifact_key(record.campaign, "pictures"),
                description=_about(record, what),
                # The picture itself: a browser opens no file of this machine from a server's page, and the service's
                # own addresses of it end after seven days.
                image_url=f"data:image/jpeg;base64,{base64.b64encode(content).decode()}",
            )
        )
    return found


def artifact_key(campaign: str, what: str) -> str:
    """The same for all runs of a campaign: Prefect shows artifacts of one key as versions of each other."""
    slug = re.sub(r"[^a-z0-9]+", "-", campaign.lower()).strip("-")[:_LONGEST_KEY].strip("-")
    return f"{slug or 'campaign'}-{what}"


def _about(record: RunRecord, what: str) -> str:
    mark = "**SIMULATED, nothing was really paid.** " if record.simulated else ""
    return f"{mark}Run {plain(record.run)}: {plain(what)}"


def _described(record: RunRecord, what: str, table: Table, summary: Table, file: str) -> str:
    """The table's name, its summary, and where the rest is, where it is not all of it."""
    lines = [_about(record, what), "", f"| {' | '.join(map(plain, summary.columns))} |"]
    lines.append("| --- " * len(summary.columns) + "|")
    lines += [f"| {' | '.join(map(plain, row))} |" for row in summary.texts]
    if len(table.rows) > MOST_ROWS:
        lines += [
            "",
            f"The first {MOST_ROWS} of {len(table.rows)} rows; all are in {plain(file)} of the run's folder.",
        ]
    return "\n".join(lines)


def _rows(table: Table) -> list[dict[str, str]]:
    """All columns but the run's id, which is the same in every row and leaves no room for the rest."""
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.texts[:MOST_ROWS])
    return [{name: text for name, text in row.items() if name != "run"} for row in rows]


async def _move(artifact: UUID, bench: Workbench) -> None:
    shown = 0
    while not bench.without_prefect:
        await asyncio.sleep(UPDATE_SECONDS)
        percent = int(bench.progress.share_done() * 100)
        # At most a hundred times a run.
        if percent != shown and await _move_once(artifact, bench.progress):
            shown = percent


async def _move_once(artifact: UUID, progress: RunProgress) -> bool:
    update = ArtifactUpdate(data=round(progress.share_done() * 100, 1), description=_description(progress))
    try:
        async with asyncio.timeout(LIMIT_SECONDS), get_client() as client:
            await client.update_artifact(artifact, update)
    except Exception:  # noqa: BLE001 - the next update says it
        return False
    return True


def _description(progress: RunProgress) -> str:
    return plain(f"{progress.title()}: {progress.summary()}")
