"""Names that are meant for this program and that it does not know: a cap with a typo would be no cap.

Names of other programs are none of our business, neither in the environment nor in ``.env``.
"""

import difflib
import io
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from blocks.errors import InvalidInput

OUR_PREFIXES = ("CAMPAIGN_", "WAVESPEED_")
ENCODING = "utf-8-sig"  # editors on Windows begin a file with a mark, which is no part of the first name
# Its reader says of a line that it cannot read what is said here, on standard error.
logging.getLogger("dotenv").setLevel(logging.ERROR)
_CLOSE = 0.75  # of what follows the prefix
_LONGEST_SHOWN = 60
_CLOSE_PREFIX = 0.9  # of the whole name: CAMPAIN_HOME
# What each of these words can only mean here, however the rest of the name is put: it limits what is spent.
_TELLING = {"BUDGET": "CAMPAIGN_BUDGET_PER_DAY"}


def file_problems(path: Path, known: Collection[str]) -> list[str]:
    """Every line of ``.env`` that cannot be read, or whose name looks like ours and is none of ``known``.

    A file that is not there has none. Raises InvalidInput where it is there and is no text that can be read.
    """
    problems = []
    for binding in _bindings(path):
        place = f"{path}:{_line_of(binding)}"
        # Nothing of the line is quoted: it may be a secret that somebody has pasted.
        if binding.error or (binding.key and binding.value is None and not _is_exported(binding)):
            problems.append(f"{place}: cannot be read; write NAME=VALUE, and quotation marks around blanks")
        elif binding.key is None:
            continue
        elif problem := _problem(binding.key, known, also_unlike=True):
            problems.append(f"{place}: {problem}")
    return problems


def environment_problems(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Every name of the environment that is nearly one of ``known``; a blank variable counts as not set."""
    return [
        problem
        for name, value in sorted(environment.items())
        if value and (problem := _problem(name, known, also_unlike=False))
    ]


def nearest(name: str, known: Collection[str]) -> str | None:
    """The setting that was probably meant, None where the name is like none of them."""
    for prefix in OUR_PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            of_prefix = {one.removeprefix(prefix): one for one in known if one.startswith(prefix)}
            return _nearest_rest(rest, of_prefix)
    close = difflib.get_close_matches(name, known, n=1, cutoff=_CLOSE_PREFIX)
    return close[0] if close else None


def _nearest_rest(rest: str, known: Mapping[str, str]) -> str | None:
    words = rest.split("_")
    for word, setting in _TELLING.items():
        if word in words and setting in known.values():
            return setting
    close = difflib.get_close_matches(rest, known, n=1, cutoff=_CLOSE)
    if close:
        return known[close[0]]
    # The same words in another order, or only the first ones.
    for other, setting in known.items():
        if sorted(words) == sorted(other.split("_")) or (rest and other.startswith(f"{rest}_")):
            return setting
    return None


def _problem(name: str, known: Collection[str], *, also_unlike: bool) -> str | None:
    """None where the name is known or somebody else's. Names are the same in any case, as settings are."""
    upper = name.upper()
    if upper in known or upper.startswith("PREFECT_"):
        return None
    meant = nearest(upper, known)
    if meant is not None:
        return f"{_shown(name)}: is no setting of this program; did you mean {meant}?"
    if also_unlike and upper.startswith(OUR_PREFIXES):
        return f"{_shown(name)}: is no setting of this program; docs/settings.md has all of them"
    return None


def _bindings(path: Path) -> Iterator[Binding]:
    try:
        # A pipe would be empty for whoever reads it next; and what is no file is no `.env`.
        text = path.read_text(ENCODING) if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror or error}); correct its permissions, or move it away"
        ) from error
    return parse_stream(io.StringIO(text))


def _line_of(binding: Binding) -> int:
    """The line of the name itself: blank lines before it are part of what the parser took."""
    original = binding.original.string
    leading = original[: len(original) - len(original.lstrip())]
    return binding.original.line + leading.count("\n")


def _is_exported(binding: Binding) -> bool:
    """``export NAME`` is a line for shells."""
    return binding.original.string.split()[:1] == ["export"]


def _shown(name: str) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
