"""What makes two pieces of work the same, and what does not."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.identity import generation_key, placeholder
from tasks.models import EditRequest

WORK: dict[str, Any] = {
    "service": "https://api.example",
    "model_id": "kwaivgi/kling-image-v3/edit",
    "parameters": EditRequest(prompt="warm", num_images=2).parameters(),
    "input_sha256s": ["a" * 64, "b" * 64],
    "take": 1,
}


def key(**changed: Any) -> str:
    return generation_key(**(copy.deepcopy(WORK) | changed))


def test_the_key_of_equal_work_never_changes() -> None:
    """A later version that computed another key would pay for everything again: this one is for ever."""
    assert key() == "b9face652158e5034d97a1a2ba32148d925d1b7d1a65dfaae6585a35fdbfedd8"


@pytest.mark.parametrize(
    "changed",
    [
        {"service": "simulator"},
        {"service": "https://api.example:8443"},
        {"model_id": "kwaivgi/kling-image-o3/edit"},
        {"parameters": WORK["parameters"] | {"prompt": "Warm"}},
        {"parameters": WORK["parameters"] | {"prompt": "warm "}},
        {"parameters": WORK["parameters"] | {"resolution": "2k"}},
        {"parameters": WORK["parameters"] | {"num_images": 3}},
        {"parameters": WORK["parameters"] | {"num_images": "2"}},
        {"parameters": WORK["parameters"] | {"aspect_ratio": "1:1"}},
        {"parameters": WORK["parameters"] | {"output_format": "webp"}},
        {"input_sha256s": ["b" * 64, "a" * 64]},
        {"input_sha256s": ["a" * 64]},
        {"input_sha256s": ["a" * 64, "b" * 64, "b" * 64]},
        {"input_sha256s": []},
        {"take": 2},
    ],
    ids=str,
)
def test_every_part_counts(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_the_order_in_which_parameters_are_named_does_not_count() -> None:
    backwards = dict(reversed(WORK["parameters"].items()))
    assert list(backwards) != list(WORK["parameters"])
    assert key(parameters=backwards) == key()
    assert key(input_sha256s=tuple(WORK["input_sha256s"])) == key()


_PARTS = st.tuples(
    st.text(max_size=4), st.text(max_size=4), st.lists(st.text(max_size=4), max_size=3), st.integers(1, 3)
)


@given(_PARTS, _PARTS)
def test_different_work_has_different_keys_wherever_one_part_ends_and_the_next_begins(
    one: tuple[str, str, list[str], int], other: tuple[str, str, list[str], int]
) -> None:
    def of(parts: tuple[str, str, list[str], int]) -> str:
        model, prompt, inputs, take = parts
        return key(model_id=model, parameters={"prompt": prompt}, input_sha256s=inputs, take=take)

    assert (of(one) == of(other)) == (one == other)


def test_placeholders_are_those_of_the_work_and_the_number() -> None:
    assert placeholder(key(), 1) == placeholder(key(), 1)
    assert len({placeholder(key(), 1), placeholder(key(), 2), placeholder(key(take=2), 1), key()}) == 4
