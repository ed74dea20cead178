"""Prompts that nobody wrote: a spreadsheet's error, a program's word for a missing value, damaged letters, nothing."""

import re
import unicodedata

from tasks.models import Stage

# #N/A, #NAME?, #REF!, and the same in other languages: #NV, #WERT!, #¿NOMBRE?, #I/T. Not "#1 mug of the year".
_ERROR = re.compile(
    r"=?(?:#[¡¿]?[^\W\d_][^\s#]{0,29}[!?]|#[^\W\d_]{1,12}(?:[./][^\W\d_]{1,20})+|#+|Err:\d{3})", re.IGNORECASE
)
# Those that have neither a mark at their end nor a stroke.
_MORE_ERRORS = frozenset(
    "#nv #nd #brak #yok #hiányzik #není_k_dispozici #nedostupný #getting_data #hole_daten #spill #calc #blocked "  # noqa: SIM905 - a list of them would be three times as long
    "#unknown #field #connect #busy #null #ref #value #name #num".split()
)
_MISSING = frozenset(
    ("nan", "-nan", "none", "null", "nil", "nat", "n/a", "<na>", "undefined", "(null)", "(none)", "[null]")
)
# Letters and signs by their category, of which nothing is to be seen.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs", "Mn", "Me"})
_MARKS = " \t\"'“”„«»"
NOTHING_SEEN = "holds nothing that can be seen"
DAMAGED = "\ufffd"


def what_is_no_prompt(text: str) -> str:
    """Say what is wrong with a prompt, filled already, that would be paid for in vain; nothing where it is one."""
    if not text:
        return ""
    empty = what_says_nothing(text)
    if empty:
        return f"{empty}; write the prompt, or clear the cell to skip the stage"
    if DAMAGED in text:
        place = text.index(DAMAGED)
        around = "".join(
            sign if sign.isprintable() else " " for sign in text[max(0, place - 12) : place + 13]
        )
        return (
            f"holds damaged letters (“{around}”): they were lost when the file was saved in another encoding; write "
            "them again"
        )
    return ""


def what_says_nothing(text: str) -> str:
    """Say what stands in a cell instead of words, for use inside a sentence; nothing where there are words."""
    if all(_is_invisible(sign) for sign in text):
        return NOTHING_SEEN
    bare = "".join(sign for sign in text if not _is_invisible(sign) or sign == " ").strip(_MARKS)
    if _ERROR.fullmatch(bare) or bare.casefold() in _MORE_ERRORS:
        return f"holds a spreadsheet's error (“{bare}”)"
    if bare.casefold() in _MISSING:
        return f"holds a program's word for a missing value (“{bare}”)"
    return ""


def _is_invisible(sign: str) -> bool:
    return sign in _BLANK_LETTERS or unicodedata.category(sign) in _INVISIBLE


def misread_notes(stage: Stage, prompt: str) -> list[str]:
    """What the plan says of a prompt that is UTF-8 once read as Windows-1252, as a whole: “Ã¼” where “ü” was meant."""
    if prompt.isascii():
        return []
    try:
        meant = b"".join(map(_byte_of, prompt)).decode("utf-8")
    except UnicodeError:
        return []
    note = (
        f"the {stage} prompt may have been read in another encoding once: “{_start(prompt, meant)}” looks like "
        f"“{_start(meant, prompt)}”; write it again, and save the file as “CSV UTF-8”, if so"
    )
    return [note]


def _byte_of(sign: str) -> bytes:
    try:
        return sign.encode("cp1252")
    except UnicodeEncodeError:
        return sign.encode("latin-1")  # five bytes have no letter in Windows-1252, and are left as they are


def _start(text: str, other: str) -> str:
    """The word in which the two differ first."""
    place = next((at for at, (one, two) in enumerate(zip(text, other, strict=False)) if one != two), 0)
    begin = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place)) + 1
    return "".join(
        sign if sign.isprintable() else "�" for sign in re.split(r"\s", text[begin:], maxsplit=1)[0][:40]
    )
