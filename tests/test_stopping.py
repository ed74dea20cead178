"""The signal that every wait, and every step that costs money, listens to."""

import asyncio
import time

import pytest

from blocks.errors import Stopped
from tasks.stopping import StopReason, StopSignal


def test_nothing_is_stopped_at_first() -> None:
    signal = StopSignal()
    signal.check()
    signal.check_spending()
    assert signal.reason is None


def test_an_interrupt_ends_all_work() -> None:
    signal = StopSignal()
    signal.set(StopReason.INTERRUPTED)
    for check in (signal.check, signal.check_spending):
        with pytest.raises(Stopped, match="interrupted; run the command again to continue"):
            check()


def test_a_refusing_account_only_ends_spending() -> None:
    signal = StopSignal()
    signal.set(StopReason.ACCOUNT_REFUSED, "no credit")
    signal.check()
    with pytest.raises(Stopped, match="the account refuses: no credit; run the command again"):
        signal.check_spending()
    assert not signal.interrupted.is_set()


def test_the_first_reason_stays_but_an_interrupt_outranks_it() -> None:
    signal = StopSignal()
    signal.set(StopReason.ACCOUNT_REFUSED, "first")
    signal.set(StopReason.ACCOUNT_REFUSED, "second")
    with pytest.raises(Stopped, match="first"):
        signal.check_spending()
    signal.set(StopReason.INTERRUPTED)
    assert signal.reason is StopReason.INTERRUPTED
    signal.set(StopReason.ACCOUNT_REFUSED, "third")
    assert signal.reason is StopReason.INTERRUPTED
    with pytest.raises(Stopped, match="interrupted"):
        signal.check()


async def test_a_sleep_ends_at_once_when_interrupted() -> None:
    signal = StopSignal()
    asleep = [asyncio.create_task(signal.sleep(60)) for _ in range(3)]
    await asyncio.sleep(0)
    began = time.monotonic()
    signal.set(StopReason.INTERRUPTED)
    outcomes = await asyncio.gather(*asleep, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Stopped] * 3
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("seconds", [-1, 0, 0.001, 60])
async def test_nobody_falls_asleep_after_an_interrupt(seconds: float) -> None:
    signal = StopSignal()
    signal.set(StopReason.INTERRUPTED)
    with pytest.raises(Stopped):
        await signal.sleep(seconds)


@pytest.mark.parametrize("seconds", [-1, 0, 0.01])
async def test_a_sleep_that_nobody_disturbs_just_ends(seconds: float) -> None:
    signal = StopSignal()
    signal.set(StopReason.ACCOUNT_REFUSED, "no credit")
    began = time.monotonic()
    await signal.sleep(seconds)
    assert time.monotonic() - began >= seconds - 0.002
