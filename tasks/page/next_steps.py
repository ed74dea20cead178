"""What a reader can do about how the run ended."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from blocks.money import dollars_text
from tasks.page.texts import count, joined, money
from tasks.reconciling.reconciliation import NEEDS_PERSON, Verdict
from tasks.record import BriefRecord, Outcome, RunRecord

# As the errors say it that are raised where an attempt is left to a person, and where a prediction outlasts a run.
_OF_UNKNOWN_FATE = re.compile(r"campaign reconcile|fate is unknown|attempt is held")
_OF_ANOTHER_ACCOUNT = re.compile(r"account does not have prediction")
_NOT_COLLECTED = re.compile(r"goes on at the service|it is paid for; run the command again", re.IGNORECASE)


def next_steps(record: RunRecord, reconciliation: Mapping[str, Any] | None = None) -> list[str]:
    """One sentence or two each, most urgent first. ``reconciliation`` is the run's last one."""
    failed = [brief for brief in record.briefs if brief.status == "failed"]
    held = [brief for brief in record.briefs if brief.status == "held"]
    flagged = [brief for brief in held if _is_flagged(brief)]
    open_ones = [brief for brief in held if not _is_flagged(brief) and _is_of_unknown_fate(brief)]
    steps = []
    if record.exit_status == 130:
        steps.append("The run was interrupted. Run the same command again: it goes on where it stopped.")
    if record.exit_status == 4:
        steps.append(
            "The account refused (key, credit or permission), so spending stopped. Put that right with the "
            "service, then run the same command again: it goes on where it stopped."
        )
    steps += _not_collected(record)
    steps += _of_unknown_fate(record, open_ones, reconciliation)
    if flagged:
        steps.append(
            f"{_briefs(flagged, 'waits', 'wait')} for somebody to look: the service flagged a picture as possibly "
            "sensitive. It is paid for and kept; change the prompt, or raise `take` to pay for another try."
        )
    if record.exit_status == 5 and not (open_ones or flagged):
        steps.append("Something needs a person; the reasons below say what.")
    if record.exit_status == 3:
        waiting = sum(stage.estimated for stage in record.stages if stage.outcome is Outcome.HELD)
        steps.append(
            f"The budget held work back that is estimated at ${dollars_text(waiting)}. "
            "Run the same command again with a higher --budget: it generates what is missing, nothing else."
        )
    if failed:
        steps.append(
            f"{count(len(failed), 'brief')} failed. Read the reasons below, correct the campaign where it is at fault, "
            "and run it again: what is done comes from the cache and costs nothing."
        )
    others = len(held) - len(flagged) - len(open_ones)
    if others and record.exit_status != 3:
        steps.append(f"{count(others, 'brief')} held back; the reasons below say what each waits for.")
    if not steps:
        worth = sum(stage.charged + stage.saved for stage in record.stages)
        steps.append(
            f"Nothing is left to do. Running the campaign again costs nothing: all of it, worth {money(worth)}, "
            "comes from the cache. To pay for a new variation of a brief, raise its take."
        )
    return steps


def _not_collected(record: RunRecord) -> Iterator[str]:
    """What the service was asked for and goes on with is booked by the run that collects it, so no sum has it yet."""
    amounts: dict[str, int] = {}  # equal work of several briefs is one prediction
    for brief in record.briefs:
        for stage in brief.stages:
            if stage.outcome in {Outcome.HELD, Outcome.FAILED} and _NOT_COLLECTED.search(stage.error or ""):
                amounts.setdefault(stage.generation_key or f"{stage.brief}/{stage.stage}", stage.estimated)
                break  # the stages behind it wait for it, and say the same
    if amounts:
        was, it = ("was", "it") if len(amounts) == 1 else ("were", "them")
        yield (
            f"{count(len(amounts), 'prediction')}, estimated at {money(sum(amounts.values()))}, {was} accepted by the "
            f"service and not collected yet; what was charged does not count {it}. The next run collects {it}, "
            f"counts {it}, and does not pay again."
        )


def _is_flagged(brief: BriefRecord) -> bool:
    return any(asset.flagged_nsfw for stage in brief.stages for asset in stage.assets)


def _is_of_unknown_fate(brief: BriefRecord) -> bool:
    return bool(_OF_UNKNOWN_FATE.search(brief.error or ""))


def _of_unknown_fate(
    record: RunRecord, briefs: list[BriefRecord], reconciliation: Mapping[str, Any] | None
) -> Iterator[str]:
    """By what the last reconciliation made of it, where there was one."""
    if not briefs:
        return
    if reconciliation is not None:
        yield _reconciled(record, reconciliation)
        return
    elsewhere = [brief for brief in briefs if _OF_ANOTHER_ACCOUNT.search(brief.error or "")]
    if elsewhere:
        yield (
            f"The account does not have the prediction that {_briefs(elsewhere, 'waits', 'wait')} for. Run the same "
            "command again with the key of the account that made it."
        )
    if len(elsewhere) < len(briefs):
        lost = [brief for brief in briefs if not _OF_ANOTHER_ACCOUNT.search(brief.error or "")]
        yield (
            f"{_briefs(lost, 'waits', 'wait')} for an attempt whose fate is unknown, and which is not sent again "
            f"before it is known. `campaign reconcile {record.run}` compares the ledger with the account and names "
            "what settles it."
        )


def _reconciled(record: RunRecord, reconciliation: Mapping[str, Any]) -> str:
    verdicts = [line["verdict"] for line in reconciliation["attempts"]]
    undecided = sum(verdict in NEEDS_PERSON for verdict in verdicts)
    if undecided:
        return (
            f"{count(undecided, 'attempt')} still {'needs' if undecided == 1 else 'need'} a decision; the "
            "reconciliation under Cost says for each what settles it."
        )
    if Verdict.WAITING in verdicts or Verdict.AT_WORK in verdicts:
        return (
            "The reconciliation could not tell the fate of every attempt yet. In a minute or two, ask again with "
            f"`campaign reconcile {record.run}`."
        )
    found = [
        f"{count(number, 'attempt')} {words}"
        for verdict, words in (
            (Verdict.ADOPTED, "found at the service"),
            (Verdict.RELEASED, "free to be sent again"),
        )
        if (number := verdicts.count(verdict))
    ]
    return (
        f"The reconciliation has settled the fate of every attempt{': ' if found else ''}{joined(found)}. Run the same "
        "command again: it collects what is paid for, and pays for nothing twice."
    )


def _briefs(briefs: list[BriefRecord], one: str, many: str) -> str:
    return f"{count(len(briefs), 'brief')} {one if len(briefs) == 1 else many}"
