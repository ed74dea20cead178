"""How the service shows what its books hold: predictions and lines of the bill."""

import base64
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simulator.envelope import dollars, to_millionths
from simulator.ids import shown_id
from simulator.media import output_url
from simulator.records import Charge, Output, Prediction
from simulator.service_time import NANOSECONDS, ServiceTime, now
from simulator.switches import Switches

NEWER_STATUSES = {"created": "queued", "completed": "succeeded"}
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class Views:
    """``files`` says where the bytes of an output lie."""

    def __init__(
        self, switches: Switches, clock: ServiceTime, base_url: str, files: Callable[[Output], Path]
    ) -> None:
        self._switches = switches
        self._clock = clock
        self._base_url = base_url
        self._files = files

    def prediction(
        self, prediction: Prediction, outputs: list[Output], *, status: str | None = None
    ) -> dict[str, Any]:
        """The object that submit and result answer; ``status`` replaces the true one."""
        shown = status or ("deleted" if prediction.deleted else prediction.status)
        done = shown == "completed" and not _withheld(prediction)
        shown_as = shown_id(prediction.id, self._switches.id_form)
        if self._switches.statuses == "newer":
            shown = NEWER_STATUSES.get(shown, shown)
        flags = prediction.nsfw if done else []
        milliseconds = 0
        if prediction.started_at and prediction.ended_at:
            milliseconds = (prediction.ended_at - prediction.started_at) // _NANOSECONDS_PER_MILLISECOND
        return {
            "id": shown_as,
            "model": prediction.model,
            "outputs": self._outputs(prediction, outputs if done else []),
            "urls": {"get": f"{self._base_url}/api/v3/predictions/{quote(str(shown_as), safe='')}/result"},
            "has_nsfw_contents": None if self._switches.nsfw_flags == "null" and not any(flags) else flags,
            "status": shown,
            "created_at": self._clock.text(prediction.created_at),
            "code": prediction.code if prediction.finished else 0,
            "error": prediction.error if prediction.finished else "",
            "executionTime": milliseconds,
            "timings": {"inference": milliseconds},
        }

    def webhook_body(self, prediction: Prediction, outputs: list[Output]) -> dict[str, Any]:
        return {**self.prediction(prediction, outputs), "input": prediction.input}

    def billing(self, charge: Charge, prediction: Prediction) -> dict[str, Any]:
        amount = self._amount(charge.amount)
        # One of 32 digits in either case, as the ids of the books are.
        uuid = charge.uuid if self._switches.billing_uuids == "own" else prediction.id[::-1]
        return {
            "uuid": uuid,
            "billing_type": charge.kind,
            "price": amount,
            "created_at": self._clock.text(charge.at),
            "order": {
                "uuid": uuid,
                "state": "refunded" if charge.kind == "refund" else "paid",
                "price": amount,
                "origin_price": self._amount(self._listed(charge.amount)),
            },
            "prediction": {
                "uuid": shown_id(prediction.id, self._switches.id_form),
                "model_uuid": prediction.model,
                "status": prediction.status,
            },
        }

    def _amount(self, millionths: int) -> float:
        return dollars(millionths) if self._switches.billing_amounts == "dollars" else millionths

    def _listed(self, paid: int) -> int:
        """What the list asked for, before the discount that is given now."""
        return to_millionths(Fraction(paid, 1_000_000) / (1 - Fraction(self._switches.discount_rate)))

    def _outputs(self, prediction: Prediction, outputs: list[Output]) -> list[str] | str:
        urls = [output_url(self._base_url, output) for output in outputs]
        if prediction.fate.get("base64"):
            urls = [_data_uri(output, self._files(output)) for output in outputs]
        if self._switches.outputs == "array" or len(urls) > 1:
            return urls
        return urls[0] if urls else ""


def _data_uri(output: Output, file: Path) -> str:
    return f"data:{output.content_type};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _withheld(prediction: Prediction) -> bool:
    """Whether a rule of the fault file keeps the outputs of a completed prediction back."""
    later = prediction.fate.get("outputs_later")
    if later is None or prediction.ended_at is None:
        return False
    seconds = later["seconds"]
    return seconds is None or now() < prediction.ended_at + round(seconds * NANOSECONDS)
