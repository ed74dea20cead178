"""How the account's history spells what was sent, learnt from this program's own predictions in it.

A history may cut prompts, mask or rewrite them, show sizes instead of ratios, or leave inputs out. What it shows is
then no proof that a prediction is somebody else's. So a difference counts for one only where own predictions of the
same model are shown as they were sent.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

MEDIA_KEYS = ("image", "images", "video")
_DOUBLE_QUOTES = (
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}«»"
)
_SINGLE_QUOTES = (
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{SINGLE LOW-9 QUOTATION MARK}"
)
_QUOTES = str.maketrans(dict.fromkeys(_DOUBLE_QUOTES, '"') | dict.fromkeys(_SINGLE_QUOTES, "'"))
_ENDINGS = ("…", "...")
_MASKS = re.compile(r"\*{2,}|#{2,}|•{2,}|█|x{4,}|\[(?:redacted|masked|hidden|removed)\]", re.IGNORECASE)


class Words(Enum):
    SAME = "the same words"
    UNCLEAR = "perhaps the same words, which this history cuts, masks or rewrites"
    UNPROVEN = "other words, should this history show words as they were sent"
    OTHER = "other words"


@dataclass(frozen=True)
class Spelling:
    """What of a model's requests is proven to be shown as it was sent.

    ``longest_prompt`` is a number of characters, 0 where prompts are not proven, and ``signs`` are the kinds of
    characters in them; ``most_media`` has the largest number of pictures or clips that was shown whole, by input.
    ``known`` is false where none of our predictions is shown, so that nothing is proven either way.
    """

    known: bool = False
    longest_prompt: int = 0
    signs: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    most_media: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def learn(cls, pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]) -> "Spelling":
        """From what was sent and what is shown of each: one that is shown otherwise outweighs all the others."""
        longest, prompts_differ = 0, False
        signs: set[str] = set()
        shown_names: set[str] = set()
        differing: set[str] = set()
        most: dict[str, int] = {}
        known = False
        for sent, shown in pairs:
            known = True
            if not shown or "prompt" not in shown:
                return cls(known=True)
            prompt = str(sent.get("prompt", ""))
            prompts_differ |= plain(prompt) != plain(shown["prompt"])
            longest = max(longest, len(prompt))
            signs |= _signs(prompt)
            for name, value in sent.items():
                if name in MEDIA_KEYS:
                    count = len(listed(value))
                    if count and len(listed(shown.get(name))) != count:
                        differing.add(name)
                    most[name] = max(most.get(name, 0), count)
                elif name != "prompt" and name in shown:
                    shown_names.add(name)
                    if value != "auto" and plain(value) != plain(shown[name]):
                        differing.add(name)
        return cls(
            known=known,
            longest_prompt=0 if prompts_differ else longest,
            signs=frozenset(signs),
            settings=frozenset(shown_names - differing),
            most_media={name: count for name, count in most.items() if name not in differing},
        )

    def words(self, sent: str, shown: Any) -> Words:
        """Compare a prompt with what the history shows of one."""
        said, seen = plain(sent), plain(shown)
        if said == seen:
            return Words.SAME
        start = next((seen.removesuffix(mark) for mark in _ENDINGS if seen.endswith(mark)), seen).rstrip()
        if said.startswith(start) and len(sent) > self.longest_prompt:
            return Words.UNCLEAR
        if _MASKS.search(seen) and not _MASKS.search(said):
            return Words.UNCLEAR
        if self.longest_prompt:
            # A sign that no prompt of ours has had may be dropped, or replaced, and leaves the rest as it was.
            return Words.UNCLEAR if _signs(sent) - self.signs and _much_alike(said, seen) else Words.OTHER
        return Words.UNCLEAR if self.known else Words.UNPROVEN

    def tells_setting(self, name: str) -> bool:
        """Whether a setting that is shown with another value was sent with another value."""
        return name in self.settings

    def tells_number(self, name: str, count: int, shown: int) -> bool:
        """Whether another number of pictures or clips is shown because another number was sent."""
        proven = self.most_media.get(name, 0)
        return proven > 0 and (shown > count or proven >= count)


@dataclass(frozen=True)
class ModelNames:
    """How the history names a model: ``own`` are its names, ``others`` those of other models.

    ``others`` is None where every other name is another model's, since all models are shown under their own names.
    """

    own: frozenset[str]
    others: frozenset[str] | None = None

    @classmethod
    def learn(cls, model: str, pairs: Iterable[tuple[str, str]]) -> "ModelNames":
        """From the models of our own predictions and the names under which they are shown."""
        pairs = [(sent, shown) for sent, shown in pairs if shown]
        own = frozenset({"", model, *(shown for sent, shown in pairs if sent == model)})
        if all(sent == shown for sent, shown in pairs):
            return cls(own)
        return cls(own, frozenset(shown for sent, shown in pairs if sent != model) - own)

    def may_be(self, name: str) -> bool:
        """Whether what is shown under this name may be of the model."""
        return name in self.own or (self.others is not None and name not in self.others)


class Whole(Spelling):
    """A history that is believed to show everything as it was sent."""

    def words(self, sent: str, shown: Any) -> Words:
        return Words.SAME if plain(sent) == plain(shown) else Words.OTHER

    def tells_setting(self, name: str) -> bool:
        del name
        return True

    def tells_number(self, name: str, count: int, shown: int) -> bool:
        del name, count, shown
        return True


def _signs(text: str) -> frozenset[str]:
    """The kinds of characters beside plain letters, digits and blanks: ASCII's one by one, others by category."""
    return frozenset(
        sign if sign.isascii() else f"{unicodedata.category(sign)}{len(sign.encode('utf-8', 'replace'))}"
        for sign in set(text)
        if not (sign.isascii() and (sign.isalnum() or sign == " "))
    )


def _much_alike(one: str, other: str) -> bool:
    """Whether most words of the one with fewer are in the other as well."""
    words, others = _words(one), _words(other)
    fewer = min(len(words), len(others))
    return fewer == 0 or len(words & others) * 2 >= fewer


@lru_cache(maxsize=4096)  # each prompt is compared with many
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text))


def plain(value: Any) -> str:
    """Without what services change in passing: spaces, forms of accents and quotation marks, escapes, 1 and "1"."""
    text = html.unescape(str(value)).translate(_QUOTES)
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
