"""The run that a page compares its own with."""

from blocks.ledger import Ledger
from tasks.reconciling.settled_since import settled_record
from tasks.record import RunRecord


def earlier_run(ledger: Ledger, record: RunRecord) -> RunRecord | None:
    """The last run of the same campaign on the same service that began before this one and left a record.

    Its amounts are what is known by now.
    """
    for row in ledger.runs():
        if (
            row.started_at < record.started_at
            and (row.campaign, row.service) == (record.campaign, record.service)
            and row.id != record.run
        ):
            earlier = settled_record(ledger, row.id)
            if earlier is not None:
                return earlier
    return None
