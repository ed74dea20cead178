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
    }


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
