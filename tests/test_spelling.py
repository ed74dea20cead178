"""What a history's words prove: only what it shows of our own work as it was sent, and of that kind."""

from typing import Any

import pytest

from tasks.paying.likeness import Likeness, likeness
from tasks.paying.spelling import ModelNames, Spelling

Shown = dict[str, Any]
FIRST = "Set the mug in a spring meadow"
PLAIN: Shown = {"prompt": FIRST, "aspect_ratio": "16:9", "images": ["https://x.example/1.png"]}


def shown(prompt: str, **changes: Any) -> Shown:
    return {**PLAIN, "prompt": prompt, **changes}


def proven(*prompts: str) -> Spelling:
    return Spelling.learn([(shown(prompt), shown(prompt)) for prompt in (FIRST, *prompts)])


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("A mug with a bloom \N{BLOSSOM}", "A mug with a bloom "),
        ("A café in the rain", "A caf? in the rain"),
        ("A <b>blue</b> mug on oak", "A blue mug on oak"),
        ("The mug of @Image1 on oak", "The mug of <<<image_1>>> on oak"),
        ("Two mugs — one warm lamp", "Two mugs - one warm lamp"),
    ],
)
def test_a_sign_that_nothing_of_ours_has_had_may_be_lost_or_replaced(sent: str, seen: str) -> None:
    spelling = proven()
    assert likeness(shown(sent), shown(seen), spelling) is Likeness.SILENT
    # Where own prompts with such signs are shown as they were sent, the difference is one.
    assert likeness(shown(sent), shown(seen), proven(sent)) is Likeness.OTHER


def test_other_words_stay_other_words() -> None:
    assert likeness(shown("A mug \N{BLOSSOM}"), shown("Two dogs by the sea"), proven()) is Likeness.OTHER
    assert likeness(shown("warm"), shown("cold"), proven()) is Likeness.OTHER


def test_one_of_ours_that_is_shown_otherwise_outweighs_the_others() -> None:
    pairs = [(PLAIN, PLAIN), (shown("warm"), shown("a warm picture"))]
    assert likeness(shown("warm"), shown("cold"), Spelling.learn(pairs)) is Likeness.SILENT


def test_a_prompt_that_is_longer_than_any_proven_one_may_be_cut() -> None:
    long = "Set the mug in a spring meadow at sunrise, with soft light from the left"
    assert likeness(shown(long), shown(long[:40]), proven()) is Likeness.SILENT
    assert likeness(shown(long), shown(long[:40]), proven(long + " and more")) is Likeness.OTHER


def test_more_inputs_than_were_ever_shown_may_be_left_out() -> None:
    two = ["https://x.example/1.png", "https://x.example/2.png"]
    assert likeness(shown("warm", images=two), shown("warm"), proven()) is Likeness.SILENT
    both = Spelling.learn([(shown("warm", images=two), shown("warm", images=two))])
    assert likeness(shown("warm", images=two), shown("warm"), both) is Likeness.OTHER


def test_names_of_models_count_where_ours_are_shown_under_their_own() -> None:
    edit, other = "kwaivgi/edit", "kwaivgi/other"
    own = ModelNames.learn(edit, [(edit, edit), (other, other)])
    assert own.may_be(edit)
    assert own.may_be("")
    assert not own.may_be("somebody/else")
    spelt = ModelNames.learn(edit, [(other, "kwaivgi-other")])
    assert spelt.may_be("kwaivgi-edit")  # nobody knows yet how this one is spelt
    assert not spelt.may_be("kwaivgi-other")
