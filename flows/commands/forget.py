"""`campaign forget`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from blocks.assets import AssetStore
from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from blocks.money import dollars_text
from flows.chosen_settings import chosen_settings
from flows.talk import print_json, say
from flows.terminal import terminal
from tasks.exports import visible
from tasks.models import Stage
from tasks.page.thumbnails import Thumbnails
from tasks.run_files.forgetting import Candidate, Choice, candidates, forget, total_bytes

_LONGEST_DAYS = 100_000


@dataclass(frozen=True)
class ForgetRequest:
    run: str | None
    brief: str | None
    stage: str | None
    key: str | None
    older_than: float | None
    yes: bool
    as_json: bool
    workspace: str | None


async def forget_results(request: ForgetRequest) -> int:
    """Without ``yes`` nothing is dropped: it says what would be."""
    choice = _choice(request)
    settings = await chosen_settings(workspace=request.workspace)
    ledger = Ledger.open_if_exists(settings.ledger_address)
    chosen: list[Candidate] = []
    freed = 0
    if ledger is not None:
        with ledger:
            chosen = candidates(ledger, choice, datetime.now(UTC))
            if request.yes and chosen:
                freed = forget(ledger, AssetStore(settings.assets), Thumbnails(settings.thumbnails), chosen)
    if request.as_json:
        print_json(_document(chosen, freed, done=request.yes))
    else:
        _show(chosen, freed, done=request.yes)
    return 0


def _choice(request: ForgetRequest) -> Choice:
    if request.stage is not None and request.stage not in list(Stage):
        raise InvalidInput(f"--stage: {visible(request.stage)} is none of edit, compose, video")
    days = request.older_than
    if days is not None and not 0 <= days <= _LONGEST_DAYS:
        raise InvalidInput(f"--older takes days, 0 to {_LONGEST_DAYS}")
    older_than = timedelta(days=days) if days is not None else None
    return Choice(request.run, request.brief, request.stage, request.key, older_than)


def _document(chosen: Sequence[Candidate], freed: int, *, done: bool) -> dict[str, Any]:
    going = [candidate for candidate in chosen if candidate.hindrance is None]
    return {
        "forgotten": done,
        "results": [
            {
                "generation_key": candidate.result.generation.key,
                "stage": candidate.result.generation.stage,
                "model": candidate.result.generation.model,
                "run": candidate.result.generation.stored_by_run,
                "stored_at": candidate.result.generation.stored_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "used_by": [{"campaign": place.campaign, "brief": place.brief} for place in candidate.places],
                "assets": [asset.sha256 for asset in candidate.result.generation.assets],
                "charged_usd": dollars_text(candidate.result.charged),
                "kept_because": candidate.hindrance,
            }
            for candidate in chosen
        ],
        "charged_usd": dollars_text(sum(candidate.result.charged for candidate in going)),
        "bytes": total_bytes(going),
        "freed_bytes": freed,
    }


def _show(chosen: Sequence[Candidate], freed: int, *, done: bool) -> None:
    if not chosen:
        say("nothing that is kept fits this choice; nothing was dropped")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("key", "stage", "made in run", "used by"):
        table.add_column(name, overflow="fold")
    table.add_column("charged", justify="right")
    for candidate in chosen:
        made = candidate.result.generation
        used = ", ".join(dict.fromkeys(f"{place.campaign}: {place.brief}" for place in candidate.places))
        cells = (made.key[:12], made.stage, made.stored_by_run, used, dollars_text(candidate.result.charged))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    terminal().print(table)
    for candidate in chosen:
        if candidate.hindrance is not None:
            say(f"{candidate.result.generation.key[:12]} is kept: {candidate.hindrance}")
    going = [candidate for candidate in chosen if candidate.hindrance is None]
    paid = dollars_text(sum(candidate.result.charged for candidate in going))
    if done:
        say(
            f"forgotten: {_count(going)}, {_size(freed)} freed. The ${paid} paid stay in the books, and are paid again "
            "when a campaign next wants the same. Copies in the folders of past runs stay"
        )
    else:
        say(
            f"would be forgotten: {_count(going)}, {_size(total_bytes(going))}. The ${paid} paid would be paid again "
            "when a campaign next wants the same. Nothing is dropped yet: add --yes for that"
        )


def _count(going: Sequence[Candidate]) -> str:
    return "1 result" if len(going) == 1 else f"{len(going)} results"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
