"""Where a prompt speaks of its references by number: ``@Image2``, “picture 3”."""

import re
import unicodedata

from tasks.models import Stage

# Also as other models, and people, write it: @Image 2, @image_2, <<<image_2>>>.
_TAG = re.compile(
    r"@image([0-9]+)"
    r"|(?:@|<{1,3})[ \t]*(?:image|img|picture)[ \t]*[_#(\[-]?[ \t]*([0-9]{1,9})(?![:0-9a-z])[)\]>]*",
    re.IGNORECASE,
)
# Not the 16 of "image 16:9", nor the 3 of "image 3d".
_NUMBER = re.compile(r"\b(picture|image)\s*#?\s*([0-9]{1,4})(?![:0-9a-z])", re.IGNORECASE)


def tag_problems(prompt: str, references: int) -> list[str]:
    """What is wrong with the ``@ImageN`` of a prompt whose stage is given that many pictures."""
    return [
        f"{tag} names a picture that is not there: {_what_is_there(references)}"
        for tag in _numbers_beyond(_TAG, _plain(prompt), references)
    ]


def number_notes(stage: Stage, prompt: str, references: int) -> list[str]:
    """The same for “picture N”, which may be plain prose and is therefore only worth a note."""
    without_tags = _TAG.sub(" ", _plain(prompt))
    return [
        f"the {stage} prompt says “{words}”, but {_what_is_there(references, tag='')}"
        for words in _numbers_beyond(_NUMBER, without_tags, references)
    ]


def _plain(prompt: str) -> str:
    """Full-width letters and digits as the usual ones, and without signs that nobody sees."""
    usual = unicodedata.normalize("NFKC", prompt)
    return "".join(sign for sign in usual if unicodedata.category(sign) != "Cf")


def _numbers_beyond(pattern: re.Pattern[str], prompt: str, references: int) -> list[str]:
    found = {match.group(): int(match.group(match.lastindex or 0)) for match in pattern.finditer(prompt)}
    return [words for words, number in found.items() if not 1 <= number <= references]


def _what_is_there(references: int, tag: str = "@Image") -> str:
    if references == 0:
        return "the stage has no reference pictures"
    if references == 1:
        return f"the stage has one picture, {tag}1" if tag else "the stage has one picture"
    if tag:
        return f"the stage has {references} pictures, {tag}1 to {tag}{references}"
    return f"the stage has {references} pictures"
