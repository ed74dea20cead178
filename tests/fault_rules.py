"""How a simulated service misbehaves in a schedule of faults: drawn from every kind of fault that ends by itself."""

import random
from collections.abc import Callable, Iterator
from typing import Any

Rule = dict[str, Any]

_OTHER_CALLS = ("result", "result", "history", "upload", "put", "download", "balance", "price", "billings")


def switches(draw: random.Random) -> dict[str, Any]:
    """One reading of each open point of the service's documentation."""
    return {
        "history_input": draw.choices(("on_request", "input", "inputs", "none"), (5, 2, 2, 1))[0],
        "history_urls": draw.choices(("as_sent", "rewritten"), (3, 1))[0],
        "outputs": draw.choice(("array", "string")),
        "retry_after": draw.choice(("none", "seconds", "milliseconds", "http_date")),
        "over_concurrency": draw.choice(("queue", "429")),
        "ticket_upload": draw.random() < 0.9,
        "error_field": draw.choice(("message", "error")),
        "billing_amounts": draw.choices(("dollars", "millionths"), (3, 1))[0],
        "timestamp_digits": draw.choice((3, 6, 9)),
        "clock_skew_seconds": draw.choice((0.0, 0.0, 0.0, -45.0, 20.0)),
        # Times the clock: at once, or while the campaign goes on.
        "refund_after_seconds": draw.choice((0.0, 0.0, 200.0)),
        **(draw.choice(_DISTORTED)(draw) if draw.random() < DISTORTED_SHARE else {}),
    }


# How many schedules have a history that shows less than there is, or other than it was.
DISTORTED_SHARE = 0.25
_DISTORTED: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda draw: {"history_lag_seconds": draw.choice((0.2, 1.0, 4.0))},
    lambda draw: {
        "history_prompts": draw.choice(("cut", "masked", "html_escaped", "requoted", "enhanced")),
        "history_prompt_characters": 2,
    },
    lambda _: {"history_aspect_ratio": "pixels"},
    lambda draw: {"history_inputs_shown": draw.choice(("required", "prompt", "first_picture"))},
    lambda _: {"history_models": "other_spelling", "history_model_filter": "other_spelling"},
    lambda draw: {"history_zone_hours": draw.choice((-7.0, 9.0)), "history_time_filter": "honoured"},
    lambda draw: {"history_clock_skew_seconds": draw.choice((-4000.0, 300.0))},
    lambda draw: {"history_created_at": draw.choice(("zoneless", "zero", "far_off", "missing"))},
    lambda draw: {"history_order": draw.choice(("oldest_first", "shuffled"))},
    lambda draw: {"history_page": draw.choice(("list", "records", "bare", "unknown")), "history_id": "uuid"},
    lambda draw: {"history_unreadable": draw.choice(("string", "null")), "history_unreadable_share": 0.3},
    lambda draw: {"history_largest_page": 1, "history_empty_page": draw.choice(("null", "no_data"))},
    lambda _: {"history_hidden_share": 1.0},
    lambda _: {"include_inputs": "refused"},
    lambda _: {"charged_at": "end"},
)


def rules(draw: random.Random) -> Iterator[Rule]:
    """Up to four faults, each of which strikes a few times."""
    for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 4))):
        kind = draw.choices((_on_submit, _on_other_call, _on_download), (5, 3, 2))[0]
        yield kind(draw) | _occasions(draw)


def _occasions(draw: random.Random) -> Rule:
    kind = draw.random()
    if kind < 0.4:
        return {"times": draw.choice((1, 1, 1, 2, 3))}
    if kind < 0.8:
        return {"nth": sorted(draw.sample(range(1, 7), draw.choice((1, 2))))}
    return {
        "probability": draw.choice((0.2, 0.4)),
        "seed": draw.randrange(1000),
        "times": draw.choice((1, 2, 4)),
    }


def _on_submit(draw: random.Random) -> Rule:
    kinds: tuple[Callable[[random.Random], Rule], ...] = (
        lambda _: {"do": "lose_reply"},
        lambda draw: {"do": "lose_reply_as_html", "status": draw.choice((502, 504))},
        lambda draw: {"do": "lose_reply_as_5xx", "status": draw.choice((500, 503))},
        lambda _: {"do": "no_id"},
        lambda draw: {"do": "lose_reply_as_4xx", "status": draw.choice((400, 429))},
        lambda _: {"do": "reset"},
        lambda draw: {"do": "html_gateway", "status": draw.choice((502, 504))},
        lambda draw: {"do": "http_status", "status": draw.choice((500, 503))},
        lambda draw: {"do": "http_status", "status": 429, "retry_after": draw.choice((None, 0.05, 0.3))},
        # The account refuses for a while: credit, or its key.
        lambda draw: {"do": "http_status", "status": draw.choice((401, 402))},
        lambda draw: {"do": "envelope_code", "code": draw.choice((429, 500))},
        lambda draw: {"do": "delay", "seconds": draw.uniform(0.05, 0.5)},
        lambda draw: {"do": "fail_prediction", "code": draw.choice((5000, 5003, 5004, 1402))},
        lambda draw: {
            "do": "fail_prediction",
            "code": 5000,
            "status": draw.choice(("cancelled", "timeout")),
        },
        lambda _: {"do": "stuck"},
        lambda _: {"do": "outputs_later", "seconds": 0.2},
        lambda _: {"do": "unknown_status"},
    )
    return {"on": "submit"} | draw.choice(kinds)(draw)


def _on_other_call(draw: random.Random) -> Rule:
    kinds: tuple[Rule, ...] = (
        {"do": "http_status", "status": 500},
        {"do": "http_status", "status": 503},
        {"do": "http_status", "status": 429, "retry_after": 0.05},
        {"do": "html_gateway"},
        {"do": "reset"},
        {"do": "lose_reply"},
        {"do": "lose_reply_as_5xx"},
        {"do": "delay", "seconds": 0.2},
        {"do": "envelope_code", "code": 500},
    )
    return {"on": draw.choice(_OTHER_CALLS)} | draw.choice(kinds)


def _on_download(draw: random.Random) -> Rule:
    kinds: tuple[Rule, ...] = (
        {"do": "truncated", "fraction": draw.choice((0.0, 0.5, 0.95))},
        {"do": "slow", "bytes_per_second": 40_000},
        {"do": "wrong_type"},
        {"do": "wrong_bytes"},
        {"do": "redirect", "url": "http://127.0.0.1:9/elsewhere.png"},
        {"do": "http_status", "status": 404},
    )
    return {"on": "download"} | draw.choice(kinds)
