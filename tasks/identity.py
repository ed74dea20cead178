"""What makes two pieces of work the same.

Not file names, not URLs, not the brief's id, not the price: the service, the model, every parameter as sent, the bytes
of every input in order, and the ``take`` that a person raises to pay for another variation.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any


def generation_key(
    service: str, model_id: str, parameters: dict[str, Any], input_sha256s: Sequence[str], take: int
) -> str:
    """The sha256 (hex) that names this piece of work in the ledger, the plan and Prefect's cache."""
    return _digest(
        {
            "service": service,
            "model": model_id,
            "parameters": parameters,
            "inputs": list(input_sha256s),
            "take": take,
        }
    )


def placeholder(upstream_key: str, number: int) -> str:
    """Stands for picture ``number`` (from 1) of work that is not done yet, so that equal chains are seen as equal."""
    return _digest({"picture_of": upstream_key, "number": number})


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
