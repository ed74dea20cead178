"""The books of the simulated service: what was asked, what was billed, what was made.

They outlive the service: what a transaction wrote is there after any death of the process. Tests read them
from outside, also while the service runs::

    books = Books.open(home)
    assert books.charged_total() == 28_000
    assert len(books.calls("/api/v3/kwaivgi/")) == 1

Moments are nanoseconds of Unix time (the machine's true clock), amounts integer millionths of a dollar.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, insert, select, update

from simulator.database import open_engine, prepare
from simulator.errors import BooksUnusable
from simulator.journal import Journal
from simulator.records import UNFINISHED, Call, Charge, Output, Prediction, Upload
from simulator.tables import account, charges, outputs, predictions, uploads

DEFAULT_CREDIT = 1_000_000_000


class InsufficientCredit(Exception):
    """The account cannot pay for the prediction; nothing was written."""


class Books:
    """One folder's books; safe to open from several processes at once."""

    def __init__(self, home: Path, *, starting_credit: int) -> None:
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BooksUnusable(f"the simulator cannot keep its books in {home}: {error.strerror}") from error
        self.home = home
        self._engine = open_engine(home, synchronous="FULL")
        prepare(self._engine, home, starting_credit=starting_credit)
        self._reader = self._engine.execution_options(read_only=True)
        # Survives the death of the process, not a power cut: for what waits for no disk, because a prediction
        # that lost its last step is carried on from the one before, and the journal bears no money.
        self._light_engine = open_engine(home, synchronous="NORMAL")
        self.journal = Journal(self._light_engine)

    @classmethod
    def open(cls, home: Path, *, starting_credit: int = DEFAULT_CREDIT) -> "Books":
        """The books in ``home``; a new account starts with ``starting_credit``. Raises BooksUnusable."""
        return cls(home, starting_credit=starting_credit)

    def close(self) -> None:
        self._engine.dispose()
        self._light_engine.dispose()

    # What tests and people read.

    def predictions(self, *conditions: ColumnElement[bool]) -> list[Prediction]:
        """Every prediction ever accepted, oldest first, or those that meet all conditions."""
        wanted = select(predictions).where(*conditions)
        return self._predictions(wanted.order_by(predictions.c.created_at, predictions.c.id))

    def charges(self, *conditions: ColumnElement[bool]) -> list[Charge]:
        """Every line of the account, oldest first: deductions, refunds, top-ups."""
        with self._reader.begin() as connection:
            rows = connection.execute(select(charges).where(*conditions).order_by(charges.c.id)).mappings()
            return [Charge(**row) for row in rows]

    def charged_total(self, model: str | None = None) -> int:
        """Millionths deducted less those refunded, for one model or all."""
        conditions = () if model is None else (charges.c.model == model,)
        signs = {"deduct": 1, "refund": -1, "top_up": 0}
        return sum(signs[charge.kind] * charge.amount for charge in self.charges(*conditions))

    def calls(self, path_prefix: str | None = None) -> list[Call]:
        """Every HTTP call received, oldest first, or those whose path starts so."""
        return self.journal.calls(path_prefix)

    def balance(self) -> int:
        with self._reader.begin() as connection:
            return int(connection.execute(select(account.c.balance)).scalar_one())

    def top_up(self, millionths: int) -> None:
        """Puts money on the account, as its owner would; a running service sees it at once."""
        with self._engine.begin() as connection:
            _move(connection, "top_up", millionths, at=time.time_ns())

    def prediction(self, prediction_id: str) -> Prediction | None:
        found = self._predictions(select(predictions).where(predictions.c.id == prediction_id))
        return found[0] if found else None

    def outputs(self, prediction_ids: Sequence[str]) -> list[Output]:
        """What was made for these predictions, in order of number."""
        wanted = select(outputs).where(outputs.c.prediction_id.in_(prediction_ids)).order_by(outputs.c.number)
        with self._reader.begin() as connection:
            return [Output(**row) for row in connection.execute(wanted).mappings()]

    def uploads(self) -> list[Upload]:
        with self._reader.begin() as connection:
            rows = connection.execute(select(uploads).order_by(uploads.c.created_at)).mappings()
            return [Upload(**row) for row in rows]

    def upload(self, upload_id: str) -> Upload | None:
        with self._reader.begin() as connection:
            row = (
                connection.execute(select(uploads).where(uploads.c.id == upload_id)).mappings().one_or_none()
            )
        return Upload(**row) if row else None

    # What the service reads.

    def history(
        self, *conditions: ColumnElement[bool], oldest_first: bool = False, offset: int, limit: int
    ) -> list[Prediction]:
        """One page of them, newest first unless said otherwise."""
        created = predictions.c.created_at
        wanted = select(predictions).where(*conditions)
        ordered = wanted.order_by(created.asc() if oldest_first else created.desc(), predictions.c.id)
        return self._predictions(ordered.offset(offset).limit(limit))

    def billings(
        self, *conditions: ColumnElement[bool], oldest_first: bool = False, offset: int, limit: int
    ) -> tuple[int, list[Charge]]:
        """How many lines there are, and one page of them, newest first unless said otherwise."""
        with self._reader.begin() as connection:
            total = connection.execute(
                select(func.count()).select_from(charges).where(*conditions)
            ).scalar_one()
            order = charges.c.id.asc() if oldest_first else charges.c.id.desc()
            wanted = select(charges).where(*conditions).order_by(order)
            rows = connection.execute(wanted.offset(offset).limit(limit)).mappings()
            return int(total), [Charge(**row) for row in rows]

    def accepted_since(self, kind: str, moment: int) -> list[int]:
        """When each prediction of a kind that came after the moment was accepted, oldest first."""
        wanted = (
            select(predictions.c.created_at)
            .where(predictions.c.created_at > moment, predictions.c.kind == kind)
            .order_by(predictions.c.created_at)
        )
        with self._reader.begin() as connection:
            return [int(moment) for moment in connection.execute(wanted).scalars()]

    def unfinished_count(self) -> int:
        wanted = select(func.count()).select_from(predictions).where(predictions.c.status.in_(UNFINISHED))
        with self._reader.begin() as connection:
            return int(connection.execute(wanted).scalar_one())

    def to_carry_on(self) -> list[Prediction]:
        """What a starting service finds undone: unfinished predictions, webhooks, refunds."""
        deducted = select(charges.c.prediction_id).where(charges.c.kind == "deduct")
        refunded = select(charges.c.prediction_id).where(charges.c.kind == "refund")
        unfinished = predictions.c.status.in_(UNFINISHED)
        undelivered = and_(predictions.c.webhook.is_not(None), predictions.c.webhook_ended.is_(False))
        unpaid = and_(
            predictions.c.status.in_(("failed", "cancelled", "timeout")),
            predictions.c.id.in_(deducted),
            predictions.c.id.not_in(refunded),
        )
        return self.predictions(unfinished | undelivered | unpaid)

    def webhook_secret(self) -> str:
        with self._reader.begin() as connection:
            return str(connection.execute(select(account.c.webhook_secret)).scalar_one())

    # What the service writes.

    def accept(self, prediction: Prediction, *, charge_now: bool = True) -> None:
        """Books the prediction and the charge for it, both or neither. Raises InsufficientCredit.

        What is not charged now is charged when it completes, and counts as spent until then.
        """
        with self._engine.begin() as connection:
            if prediction.charged:
                balance = connection.execute(select(account.c.balance)).scalar_one()
                if balance - _promised(connection) < prediction.price:
                    raise InsufficientCredit
                if charge_now:
                    at = prediction.created_at
                    _move(connection, "deduct", prediction.price, at=at, prediction=prediction)
            connection.execute(insert(predictions).values(**asdict(prediction)))

    def change(self, prediction_id: str, **values: Any) -> None:
        """Writes columns of one prediction."""
        with self._light_engine.begin() as connection:
            connection.execute(update(predictions).where(predictions.c.id == prediction_id).values(**values))

    def complete(
        self, prediction: Prediction, made: Sequence[Output], *, ended_at: int, nsfw: list[bool]
    ) -> None:
        """The prediction's outputs become visible; what was not charged for at its acceptance is charged now."""
        with self._engine.begin() as connection:
            if prediction.charged and not _booked(connection, prediction, "deduct"):
                _move(connection, "deduct", prediction.price, at=ended_at, prediction=prediction)
            if made:
                connection.execute(insert(outputs), [asdict(output) for output in made])
            ended = {"status": "completed", "ended_at": ended_at, "nsfw": nsfw}
            connection.execute(update(predictions).where(predictions.c.id == prediction.id).values(**ended))

    def refund(self, prediction: Prediction, *, at: int) -> None:
        """Pays the prediction's price back, where it was charged and unless that was done before."""
        with self._engine.begin() as connection:
            if _booked(connection, prediction, "refund") or not _booked(connection, prediction, "deduct"):
                return
            _move(connection, "refund", prediction.price, at=at, prediction=prediction)

    def delete(self, prediction_ids: Sequence[str]) -> list[str]:
        """Marks those of the predictions that have ended as deleted; returns their ids."""
        ended = and_(
            predictions.c.id.in_(prediction_ids),
            predictions.c.status.not_in(UNFINISHED),
            predictions.c.deleted.is_(False),
        )
        with self._engine.begin() as connection:
            found = list(connection.execute(select(predictions.c.id).where(ended)).scalars())
            connection.execute(update(predictions).where(ended).values(deleted=True))
        return found

    def add_upload(self, upload: Upload) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(uploads).values(**asdict(upload)))

    def store_upload(self, upload_id: str, *, at: int) -> None:
        """The announced bytes have come."""
        with self._engine.begin() as connection:
            connection.execute(update(uploads).where(uploads.c.id == upload_id).values(stored_at=at))

    def _predictions(self, wanted: Select[Any]) -> list[Prediction]:
        with self._reader.begin() as connection:
            return [Prediction(**row) for row in connection.execute(wanted).mappings()]


def _promised(connection: Connection) -> int:
    """The price of everything in work that will be charged when it completes."""
    deducted = exists().where(charges.c.prediction_id == predictions.c.id, charges.c.kind == "deduct")
    wanted = select(func.coalesce(func.sum(predictions.c.price), 0)).where(
        predictions.c.status.in_(UNFINISHED),
        predictions.c.charged.is_(True),
        ~deducted,
    )
    return int(connection.execute(wanted).scalar_one())


def _booked(connection: Connection, prediction: Prediction, kind: str) -> bool:
    wanted = select(charges.c.id).where(charges.c.prediction_id == prediction.id, charges.c.kind == kind)
    return connection.execute(wanted).first() is not None


def _move(
    connection: Connection, kind: str, amount: int, *, at: int, prediction: Prediction | None = None
) -> None:
    change = -amount if kind == "deduct" else amount
    connection.execute(update(account).values(balance=account.c.balance + change))
    connection.execute(
        insert(charges).values(
            uuid=uuid.uuid4().hex,
            kind=kind,
            prediction_id=prediction.id if prediction else None,
            model=prediction.model if prediction else None,
            amount=amount,
            at=at,
        )
    )
