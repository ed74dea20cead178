"""Tells people how a run ended, by Prefect's notification blocks; whatever comes of that, the run stays as it ended.

A block's secrets often stand in the address that it sends to, and with it in the errors and the logs of the libraries
that send. So nothing that these say is ever shown: only which block it was, and the kind of its trouble.
"""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block, UnknownBlockType

from blocks.errors import BudgetRefused, CampaignError, NeedsPerson, in_full
from blocks.settings import NotifyOn, Settings
from flows.closing import ClosedRun
from flows.talk import say
from tasks.endings import ExitStatus
from tasks.exports import visible
from tasks.page.texts import count

LIMIT_SECONDS = 10.0
_MOST_BRIEFS = 10
_MOST_CHARACTERS = 300

_SENDING = ("apprise", "httpcore", "httpx", "requests", "urllib3")


@dataclass(frozen=True)
class Message:
    """``on`` are the kinds of ending that this is one of."""

    subject: str
    body: str
    on: frozenset[NotifyOn]


class _NotSentError(Exception):
    """Why, in words that hold no secret."""


def message_of_run(closed: ClosedRun) -> Message:
    """The totals, what is not done, and where the page is."""
    record = closed.record
    statuses = {brief.status for brief in record.briefs}
    on: set[NotifyOn] = {"end"}
    if "failed" in statuses or closed.status is ExitStatus.ACCOUNT:
        on.add("failure")
    if "held" in statuses and closed.status is not ExitStatus.INTERRUPTED:
        on.add("hold")
    done = sum(brief.status == "done" for brief in record.briefs)
    lines = [closed.sentence, f"run: {record.run}"]
    if closed.status is ExitStatus.INTERRUPTED:
        lines.append("interrupted; running it again continues")
    trouble = [brief for brief in record.briefs if brief.error is not None]
    lines += [
        f"{brief.brief}: {brief.status}: {_short(brief.error or '')}" for brief in trouble[:_MOST_BRIEFS]
    ]
    if len(trouble) > _MOST_BRIEFS:
        lines.append(f"and {len(trouble) - _MOST_BRIEFS} more")
    lines.append(f"page: {(closed.folder / 'report.html').absolute()}")
    briefs = count(len(record.briefs), "brief")
    subject = f"{_mark(simulated=record.simulated)}{record.campaign}: {done} of {briefs} done"
    return Message(visible(subject), "\n".join(map(visible, lines)), frozenset(on))


def message_of_refusal(campaign: str, error: BaseException, *, simulated: bool) -> Message:
    """For a run that ended before it had begun, or in a way that nobody foresaw."""
    held = isinstance(error, BudgetRefused | NeedsPerson)
    if isinstance(error, CampaignError):
        body = in_full(error)
    else:
        body = f"the run ended unexpectedly: {type(error).__name__}. Nothing that was paid for is lost"
    lines = [visible(_short(line)) for line in body.splitlines()]
    more = [f"and {len(lines) - _MOST_BRIEFS} more lines"] if len(lines) > _MOST_BRIEFS else []
    return Message(
        visible(f"{_mark(simulated=simulated)}{campaign}: not run"),
        "\n".join([*lines[:_MOST_BRIEFS], *more]),
        frozenset({"end", "hold" if held else "failure"}),
    )


async def tell_of_run(settings: Settings | None, closed: ClosedRun) -> None:
    if settings is not None and settings.notification_blocks:
        await notify(settings, message_of_run(closed))


async def tell_of_refusal(settings: Settings | None, campaign: str, error: BaseException) -> None:
    if settings is not None and settings.notification_blocks:
        await notify(settings, message_of_refusal(campaign, error, simulated=settings.embedded))


async def notify(settings: Settings, message: Message) -> None:
    """Sends it by every block of the settings, at the same time, and says in one line each where that failed.

    Ends within ``LIMIT_SECONDS`` and raises nothing.
    """
    if not message.on & settings.notified_endings:
        return
    with ExitStack() as stack:
        stack.enter_context(_silent())
        names = settings.notification_blocks
        troubles = await asyncio.gather(*(_send(name, message) for name in names))
        if TimeoutError in troubles:
            stack.pop_all()  # what was given up may still have something to say
    for name, trouble in zip(names, troubles, strict=True):
        if trouble is TimeoutError:
            say(f"note: the notification by {name} was given up: no answer within {LIMIT_SECONDS:.0f} s")
        elif trouble is not None:
            say(f"note: the notification by {name} was not sent: {trouble}")


async def _send(name: str, message: Message) -> str | type[TimeoutError] | None:
    """What went wrong, if anything."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            block = await _load(name)
            await _notify(block, message)
    except TimeoutError:
        return TimeoutError
    except _NotSentError as error:
        return str(error)
    except NotificationError:
        return "the service behind it did not take it"
    except httpx.HTTPStatusError as error:
        return f"it was answered with status {error.response.status_code}"
    except Exception as error:  # noqa: BLE001 - the run has ended, and nothing here may change how
        return type(error).__name__
    return None


async def _load(name: str) -> NotificationBlock:
    try:
        block = await Block.aload(name)
    except UnknownBlockType:
        raise _NotSentError("blocks of its kind are not installed here") from None
    except ValueError:
        raise _NotSentError(
            "Prefect has no block of that name; make it there, or change CAMPAIGN_NOTIFY"
        ) from None
    if not isinstance(block, NotificationBlock):
        raise _NotSentError("it is no notification block")
    return block


async def _notify(block: NotificationBlock, message: Message) -> None:
    with block.raise_on_failure():
        if (send := getattr(block, "anotify", None)) is not None:
            await send(message.body, message.subject)
            return
        sent = await _aside(lambda: block.notify(message.body, message.subject))
        if inspect.isawaitable(sent):
            await sent


async def _aside(call: Callable[[], object]) -> object:
    """For blocks that wait for their service themselves: in a thread that, once given up, keeps no process from ending.

    (Those of ``asyncio.to_thread`` are waited for at the end.)
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[object] = loop.create_future()

    def settle(value: object, error: Exception | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)

    def work() -> None:
        value: object = None
        trouble: Exception | None = None
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told where it is awaited
            trouble = error
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(settle, value, trouble)

    threading.Thread(target=work, daemon=True).start()
    return await result


@contextmanager
def _silent() -> Iterator[None]:
    """Without a word from the libraries that send."""
    names = {name for name in logging.Logger.manager.loggerDict if name.partition(".")[0] in _SENDING}
    before = [(logger, logger.disabled) for logger in map(logging.getLogger, {*_SENDING, *names})]
    for logger, _ in before:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in before:
            logger.disabled = disabled


def _mark(*, simulated: bool) -> str:
    return "[simulated] " if simulated else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…"
