"""The journal of calls received, and how often each rule of the fault file fired."""

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from simulator.records import Call
from simulator.tables import calls, rule_counts


class Journal:
    """Written before a call is performed and before it is answered: whoever has an answer finds its line."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def received(self, *, at: int, method: str, path: str, authorized: bool) -> int:
        """Opens a line and returns its number."""
        with self._engine.begin() as connection:
            line = insert(calls).values(at=at, method=method, path=path, authorized=authorized)
            key = connection.execute(line).inserted_primary_key
        assert key is not None
        return int(key[0])

    def answered(
        self, line: int, *, status: int | None, prediction_id: str | None, fault: str | None
    ) -> None:
        with self._engine.begin() as connection:
            answer = {"status": status, "prediction_id": prediction_id, "fault": fault}
            connection.execute(update(calls).where(calls.c.id == line).values(**answer))

    def calls(self, path_prefix: str | None = None) -> list[Call]:
        """The calls so far, oldest first, or those whose path starts so."""
        wanted = select(calls).order_by(calls.c.id)
        if path_prefix is not None:
            wanted = wanted.where(calls.c.path.startswith(path_prefix, autoescape=True))
        with self._reader.begin() as connection:
            return [Call(**row) for row in connection.execute(wanted).mappings()]

    def rule_counts(self, rule: str) -> tuple[int, int]:
        """How many calls the rule matched, and how often it fired."""
        with self._reader.begin() as connection:
            row = connection.execute(
                select(rule_counts.c.matched, rule_counts.c.fired).where(rule_counts.c.rule == rule)
            ).one_or_none()
        return (int(row.matched), int(row.fired)) if row else (0, 0)

    def count_rule(self, rule: str, *, matched: int, fired: int) -> None:
        counts = {"matched": matched, "fired": fired}
        with self._engine.begin() as connection:
            connection.execute(
                upsert(rule_counts)
                .values(rule=rule, **counts)
                .on_conflict_do_update(index_elements=["rule"], set_=counts)
            )
