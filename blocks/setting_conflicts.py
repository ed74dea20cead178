"""Two accounts for one run: the block that was named has another key or address than what comes before blocks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

_OF_AN_ACCOUNT = {"WAVESPEED_API_KEY": "key", "WAVESPEED_BASE_URL": "address"}


def conflicts(
    block: Mapping[str, Any],
    above: Sequence[tuple[str, Callable[[], Mapping[str, Any]]]],
    account: str | None,
) -> list[str]:
    """A sentence for each setting in which they differ; no value is shown.

    ``above`` has the places that come before the block, the first one first, and what each gives by variable.
    """
    named = f"the block {account}" if account else "the block"
    found = []
    for variable, what in _OF_AN_ACCOUNT.items():
        # Only the first that gives it would count: one that agrees hides the others.
        place, given = next(
            ((place, value) for place, read in above if (value := read().get(variable))), ("", None)
        )
        if given and variable in block and _plain(given) != _plain(block[variable]):
            found.append(
                f"{variable}: {place} gives another {what} than {named}, so it is not clear which account is to pay; "
                f"take it out of {place}, or name no block"
            )
    return found


def _plain(value: Any) -> str:
    """An address is the same however its slash at the end and its case are written."""
    text = str(value.get_secret_value() if isinstance(value, SecretStr) else value).strip()
    return text.rstrip("/").lower() if "://" in text else text
