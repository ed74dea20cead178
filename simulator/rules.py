"""Which rules of the fault file fire on a call. Counts are kept in the books and outlive a restart."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

from simulator.faults import (
    Delay,
    FailPrediction,
    Faults,
    FewerOutputs,
    Matching,
    Nsfw,
    OutputsLater,
    Rule,
    Stuck,
    UnknownStatus,
)
from simulator.journal import Journal

FATES = (FailPrediction, Stuck, FewerOutputs, OutputsLater, Nsfw, UnknownStatus)


@dataclass(frozen=True)
class Subject:
    """What a call is about; ``model`` and ``prompt`` are None where it is about no prediction."""

    on: str
    model: str | None = None
    prompt: str | None = None


@dataclass
class Verdict:
    """What happens to a call: a wait in seconds, the prediction's fate, the rule that answers instead."""

    delay_seconds: float = 0.0
    fate: dict[str, Any] = field(default_factory=dict)
    shown_status: str | None = None
    action: Rule | None = None
    fired: list[str] = field(default_factory=list)


class RuleBook:
    def __init__(self, faults: Faults, journal: Journal) -> None:
        self._journal = journal
        self._rules = [(rule, _identity(number, rule)) for number, rule in enumerate(faults.rules)]
        self._counts = {identity: journal.rule_counts(identity) for _, identity in self._rules}

    def looks_at_predictions(self, on: str) -> bool:
        """Whether a rule for such calls asks for the model or the prompt."""
        return any(
            rule.on == on and (rule.model is not None or rule.prompt_contains is not None)
            for rule, _ in self._rules
        )

    def decide(self, subject: Subject) -> Verdict:
        """Counts the call with every rule that matches it and says what happens."""
        verdict = Verdict()
        for rule, identity in self._rules:
            if verdict.action is not None or not _matches(rule, subject) or not self._fires(rule, identity):
                continue
            verdict.fired.append(rule.do)
            if isinstance(rule, Delay):
                verdict.delay_seconds += rule.seconds
            elif isinstance(rule, UnknownStatus) and rule.on == "result":
                verdict.shown_status = rule.status
            elif isinstance(rule, FATES):
                verdict.fate |= _fate(rule)
            else:
                verdict.action = rule
        return verdict

    def _fires(self, rule: Matching, identity: str) -> bool:
        matched, fired = self._counts[identity]
        matched += 1
        fires = rule.times is None or fired < rule.times
        if rule.nth is not None:
            fires = fires and matched in rule.nth
        elif rule.every is not None:
            fires = fires and matched % rule.every == 0
        elif rule.probability is not None:
            chance = random.Random(f"{rule.seed}/{identity}/{matched}")  # noqa: S311 - repeatable on purpose
            fires = fires and chance.random() < rule.probability
        self._counts[identity] = (matched, fired + fires)
        self._journal.count_rule(identity, matched=matched, fired=fired + fires)
        return fires


def _matches(rule: Matching, subject: Subject) -> bool:
    if rule.on != subject.on:
        return False
    if rule.model is not None and rule.model != subject.model:
        return False
    return rule.prompt_contains is None or (
        subject.prompt is not None and rule.prompt_contains in subject.prompt
    )


def _fate(
    rule: FailPrediction | Stuck | FewerOutputs | OutputsLater | Nsfw | UnknownStatus,
) -> dict[str, Any]:
    match rule:
        case FailPrediction():
            return {"fail": {"status": rule.status, "code": rule.code, "message": rule.message}}
        case Stuck():
            return {"stuck": True}
        case FewerOutputs():
            return {"outputs": rule.outputs}
        case OutputsLater():
            return {"outputs_later": {"seconds": rule.seconds}}
        case Nsfw():
            return {"nsfw": None if rule.flagged is None else list(rule.flagged)}
        case UnknownStatus():
            return {"unknown_status": {"status": rule.status, "looks": rule.looks}}


def _identity(number: int, rule: Rule) -> str:
    # Another file's rule in the same place starts counting afresh.
    return hashlib.sha256(f"{number}:{rule.model_dump_json()}".encode()).hexdigest()
