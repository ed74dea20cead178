"""What a reader should do next, by how the run ended."""

from blocks.money import dollars_text
from tasks.record import Outcome, RunRecord


def next_steps(record: RunRecord) -> list[str]:
    """One sentence each, most urgent first; empty where all briefs are done."""
    failed = sum(brief.status == "failed" for brief in record.briefs)
    held = sum(brief.status == "held" for brief in record.briefs)
    steps = []
    if record.exit_status == 130:
        steps.append("The run was interrupted. Run the same command again: it goes on where it stopped.")
    if record.exit_status == 4:
        steps.append(
            "The account refused (key, credit or permission), so spending stopped. Put that right with the "
            "service, then run the same command again: it goes on where it stopped."
        )
    if record.exit_status == 5:
        steps.append(
            "Something needs a person: an attempt whose fate is unknown, or a flagged picture; the "
            f"briefs below say which. `campaign reconcile {record.run}` compares the ledger with the account."
        )
    if record.exit_status == 3:
        waiting = sum(stage.estimated for stage in record.stages if stage.outcome is Outcome.HELD)
        steps.append(
            f"The budget held work back that is estimated at ${dollars_text(waiting)}. "
            "Run the same command again with a higher --budget: it generates what is missing, nothing else."
        )
    if failed:
        steps.append(
            f"{_briefs(failed)} failed. Read the reasons below, correct the campaign where it is at fault, "
            "and run it again: what is done comes from the cache and costs nothing."
        )
    if held and record.exit_status not in {3, 5}:
        steps.append(f"{_briefs(held)} held back; the reasons below say what each waits for.")
    return steps


def _briefs(count: int) -> str:
    return "1 brief" if count == 1 else f"{count} briefs"
