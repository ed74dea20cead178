"""The run that a page compares its own with."""

from blocks.ledger import Ledger
from tasks.record import RunRecord


def earlier_run(ledger: Ledger, record: RunRecord) -> RunRecord | None:
    """The last run of the same campaign on the same service that began before this one and left a record."""
    for row in ledger.runs():
        if (
            row.started_at < record.started_at
            and (row.campaign, row.service) == (record.campaign, record.service)
            and row.id != record.run
        ):
            text = ledger.run_record(row.id)
            if text is not None:
                return RunRecord.model_validate_json(text)
    return None
