"""What the history shows of a request, kept small: thousands of predictions are held side by side."""

from collections.abc import Mapping
from typing import Any

# Far above any prompt or address. A picture may come along as text, which is nothing that was sent from here.
LONGEST_TEXT = 20_000
_MOST_VALUES = 500


def shown_input(value: object) -> dict[str, Any] | None:
    """Return the inputs with overlong texts cut; None, which says nothing, where they are no object or too many."""
    if not isinstance(value, Mapping):
        return None
    left = _MOST_VALUES

    def kept(item: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            return None
        if isinstance(item, str):
            return item[:LONGEST_TEXT]
        if isinstance(item, Mapping):
            return {str(key)[:LONGEST_TEXT]: kept(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [kept(inner) for inner in item]
        return item

    found = kept(dict(value))
    return found if left >= 0 else None
