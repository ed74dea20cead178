"""A prediction that the account's history shows, entered into a ledger that lacks it, by what was sent for it."""

from dataclasses import replace
from datetime import UTC, datetime

from pydantic import ValidationError

from blocks.errors import InvalidInput
from blocks.ledger import GenerationWork, Ledger, PastResult, RunRow, WorkInput, new_run_id
from blocks.prices import PriceBook
from blocks.wavespeed import Prediction
from tasks.identity import generation_key
from tasks.lost_ledger.standing import inputs_shown, settings_shown
from tasks.models import LONGEST_BILLED, REQUESTS


def place(ledger: Ledger, service: str, provider: str, account: str, items: list[Prediction]) -> None:
    """Enter each as sent, to be collected by the run that wants its work. Raises InvalidInput, having changed nothing.

    Equal work is told apart by its takes only, which no history shows: the first prediction is the first take's.
    """
    results = [_result(ledger, service, provider, account, item) for item in items]
    now = datetime.now(UTC)
    for result in results:
        run = RunRow(
            id=new_run_id("taken-over", now, simulated=provider == "simulator"),
            campaign="taken-over",
            csv_path="",
            csv_sha256="",
            service=service,
            provider=provider,
            out="",
            budget=None,
            started_at=result.made_at,
            ended_at=result.made_at,
            exit_status=0,
            flow_run_id=None,
        )
        ledger.take_over(run, None, [_first_free(ledger, result)])


def _first_free(ledger: Ledger, result: PastResult) -> PastResult:
    work, take = result.work, 1
    while True:
        key = generation_key(
            work.service, work.model, work.request, [one.sha256 for one in work.inputs], take
        )
        if not any(one.prediction_id for one in ledger.attempts(key=key)):
            break
        take += 1
    return replace(result, work=replace(work, key=key, take=take))


def _result(ledger: Ledger, service: str, provider: str, account: str, item: Prediction) -> PastResult:
    stage, request = next((stage, one) for stage, one in REQUESTS.items() if one.model_id == item.model)
    shown = settings_shown(item)
    try:
        # All are sent, so all have to be shown: a default in the place of another value would be other work.
        asked = request.model_validate({name: shown[name] for name in request.model_fields})
    except (KeyError, ValidationError) as error:
        raise InvalidInput(
            f"--adopt {item.id}: the history does not show all that was sent for it, so nobody can tell which work it "
            f"is; if it is not this ledger's, `campaign reconcile --not-mine {item.id}`. Nothing was changed"
        ) from error
    given = inputs_shown(item)
    resolution = asked.price_resolution
    # How long a clip lasts, no history says.
    quantity = asked.quantity_upper_bound_for(LONGEST_BILLED)
    return PastResult(
        work=GenerationWork(
            key="",
            service=service,
            provider=provider,
            model=item.model,
            stage=str(stage),
            request=asked.parameters(),
            inputs=tuple(WorkInput(role, sha256) for role, sha256 in given),
            take=1,
            prompt=asked.prompt,
        ),
        prediction_id=item.id,
        made_at=item.created_at or ledger.now(),
        estimated=PriceBook.load().cost(item.model, resolution, quantity),
        account=account,
    )
