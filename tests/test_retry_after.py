from datetime import UTC, datetime

import httpx
import pytest

from blocks.retry_after import retry_after_seconds

NOW = datetime(2026, 11, 6, 8, 49, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "3600"}, 3600.0),
        ({"Retry-After": "99999999"}, 604_800.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After-Ms": "250"}, 0.25),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After-Ms": "many", "Retry-After": "9"}, 9.0),
        ({"Retry-After-Ms": "900000"}, 900.0),
        ({"Retry-After": "Fri, 06 Nov 2026 08:49:37 GMT"}, 7.0),
        # The service's clock is an hour ahead: its own Date is what the moment is relative to.
        ({"Retry-After": "Fri, 06 Nov 2026 09:49:37 GMT", "Date": "Fri, 06 Nov 2026 09:49:32 GMT"}, 5.0),
        ({"Retry-After": "Fri, 06 Nov 2026 08:49:37 GMT", "Date": "no date"}, 7.0),
        ({"Retry-After": "Fri, 06 Nov 2026 08:49:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 06 Nov 2037 08:49:00 GMT"}, 604_800.0),
        ({"Retry-After": "Friday, 06-Nov-26 08:49:37 GMT"}, 7.0),
        ({"Retry-After": "Fri, 99 Nov 2026 08:49:37 GMT"}, None),
    ],
)
def test_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(httpx.Headers(headers), now=NOW) == seconds


def test_the_cap_can_be_set() -> None:
    assert retry_after_seconds(httpx.Headers({"Retry-After": "50"}), longest=10) == 10
