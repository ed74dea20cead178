"""What past attempts teach about the next ones: how long each step took."""

from dataclasses import dataclass

import sqlalchemy as sa

from blocks.ledger.part import Part
from blocks.ledger.tables import attempts

_LEARNT_FROM = 200


@dataclass(frozen=True)
class StepSeconds:
    """The steps of one finished attempt in seconds, waiting for its turn aside; 0 where a step was not needed."""

    upload: float
    submit: float
    inference: float
    detect: float
    download: float


class Learnt(Part):
    def step_seconds(self, service: str, model: str) -> list[StepSeconds]:
        """Read how long the steps of the model's last 200 predictions took, the newest first.

        Only predictions count whose own time the service told, and whose submit was answered.
        """
        steps = (
            attempts.c.upload_s,
            attempts.c.submit_s,
            attempts.c.inference_s,
            attempts.c.detect_s,
            attempts.c.download_s,
        )
        query = (
            sa.select(*steps)
            .where(
                attempts.c.service == service,
                attempts.c.model == model,
                attempts.c.inference_s.is_not(None),
                attempts.c.submit_s.is_not(None),
            )
            .order_by(attempts.c.completed_at.desc(), attempts.c.id.desc())
            .limit(_LEARNT_FROM)
        )
        with self._database.read() as connection:
            return [StepSeconds(*(value or 0.0 for value in row)) for row in connection.execute(query)]
