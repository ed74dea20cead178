"""How the service writes the ids of predictions; the books have 32 hexadecimal digits, whatever it shows."""

import re
from typing import Literal

IdForm = Literal["hex", "colon", "slash", "number", "long"]

_HEX = re.compile(r"[0-9a-f]{32}")
_REPEATS = 5  # 160 letters


def shown_id(prediction_id: str, form: IdForm) -> str | int:
    """The id as clients see it."""
    match form:
        case "colon":
            return f"prediction:{prediction_id}"
        case "slash":
            return f"prediction/{prediction_id}"
        case "number":
            return int(prediction_id, 16)
        case "long":
            return prediction_id * _REPEATS
    return prediction_id


def kept_id(shown: str | int, form: IdForm) -> str:
    """The id of the books that a client means; nobody's, an empty one, where it is written in another form."""
    text = str(shown)
    if form == "number" and text.isdecimal():
        text = format(int(text), "032x")
    found = _HEX.search(text)
    return found[0] if found and str(shown_id(found[0], form)) == str(shown) else ""
