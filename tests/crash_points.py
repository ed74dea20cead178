"""Every step of a run at which it can die, in one table, and the means to make a process die there.

Nothing of this is in the product: a process that is to die puts a wrapper around the named function before it runs the
command, and the wrapper sends SIGKILL to the process itself.
"""

import functools
import inspect
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

Moment = Literal["before", "after"]

LEDGER = "blocks.ledger:Ledger"
# Left normally, a ledger's transaction is committed; dying just before that leaves it open on the disk.
_COMMIT = "blocks.ledger.database:Database.write"


@dataclass(frozen=True)
class CrashPoint:
    """The ``moment`` at which ``target`` (``module:name``) is called or has returned.

    Of a context manager, ``after`` is the moment at which its block is over and it has not begun to leave it.
    ``within``: only calls that are made by this other function count. ``needs`` names one of ``TROUBLES``, without
    which a run does not come by here.
    """

    target: str
    moment: Moment
    within: str = ""
    needs: str = ""

    @property
    def name(self) -> str:
        if self.target == _COMMIT:
            return f"before the commit of {_short(self.within)}"
        inside = f" in {_short(self.within)}" if self.within else ""
        return f"{self.moment} {_short(self.target)}{inside}"


def _short(target: str) -> str:
    return target.rpartition(":")[2]


def _transaction(method: str, needs: str = "") -> tuple[CrashPoint, CrashPoint, CrashPoint]:
    """The three places at which a transaction of the ledger can be the last: not begun, not committed, committed."""
    target = f"{LEDGER}.{method}"
    return (
        CrashPoint(target, "before", needs=needs),
        CrashPoint(_COMMIT, "after", within=target, needs=needs),
        CrashPoint(target, "after", needs=needs),
    )


SUBMIT = "blocks.wavespeed:WaveSpeedClient.submit"
KEEP = "blocks.assets:AssetStore.keep"
PLACE = "blocks.assets:AssetStore.place"
WRITE = "tasks.run_files.run_folder:write_atomically"
FOLDER = "tasks.run_files.run_folder:write_run_folder"
RENAME = "pathlib:Path.replace"

# Faults of the service, as its fault file has them.
TROUBLES: dict[str, dict[str, Any]] = {
    "": {},
    "lost reply": {"rules": [{"on": "submit", "do": "lose_reply", "times": 1}]},
    "rate limit": {
        "rules": [{"on": "submit", "do": "http_status", "status": 429, "retry_after": 0.1, "times": 1}]
    },
    "refusal": {"rules": [{"on": "submit", "do": "http_status", "status": 400, "times": 1}]},
    "failed prediction": {
        "switches": {"refund_after_seconds": 0},
        "rules": [{"on": "submit", "do": "fail_prediction", "code": 5000, "times": 1}],
    },
    "unread input": {
        "switches": {"refund_after_seconds": 0},
        "rules": [{"on": "submit", "do": "fail_prediction", "code": 1402, "times": 1}],
    },
    # Booked at its list price first, and corrected when the bill can be read.
    "late bill": {
        "switches": {"discount_rate": 0.1},
        "rules": [{"on": "billings", "do": "http_status", "status": 404, "times": 1}],
    },
}

# In the order in which a run comes by them.
CRASH_POINTS: tuple[CrashPoint, ...] = (
    CrashPoint("blocks.ledger.opening:prepare", "before"),
    CrashPoint("blocks.ledger.opening:prepare", "after"),
    *_transaction("start_run"),
    *_transaction("register_owner"),
    *_transaction("claim"),
    CrashPoint("blocks.wavespeed:WaveSpeedClient.upload", "before"),
    CrashPoint("blocks.wavespeed:WaveSpeedClient.upload", "after"),
    *_transaction("remember_upload"),
    CrashPoint("blocks.wavespeed:WaveSpeedClient.price", "after"),
    *_transaction("reserve"),
    *_transaction("intend"),
    CrashPoint(SUBMIT, "before"),
    # The request is on its way and its answer has begun to come; nobody has read the id.
    CrashPoint("blocks.wavespeed.connection:read_body", "before", within=SUBMIT),
    CrashPoint(SUBMIT, "after"),
    *_transaction("submitted"),
    *_transaction("completed"),
    CrashPoint("blocks.remote:RemoteFiles.fetch", "before"),
    CrashPoint("blocks.remote:RemoteFiles.fetch", "after"),
    CrashPoint(KEEP, "before"),
    CrashPoint(RENAME, "before", within=KEEP),
    CrashPoint(RENAME, "after", within=KEEP),
    CrashPoint(KEEP, "after"),
    CrashPoint("tasks.paying.settlement:Settlement.cost_of", "after"),
    *_transaction("stored"),
    CrashPoint("tasks.paying.generation:generate", "after"),
    # What only a run in trouble comes by.
    *_transaction("unknown", needs="lost reply"),
    *_transaction("decide", needs="lost reply"),
    CrashPoint("tasks.paying.refusal_look:is_believed", "before", needs="rate limit"),
    CrashPoint("tasks.paying.refusal_look:is_believed", "after", needs="rate limit"),
    *_transaction("not_sent", needs="rate limit"),
    *_transaction("withdrawn", needs="refusal"),
    *_transaction("failed", needs="failed prediction"),
    *_transaction("release", needs="failed prediction"),
    *_transaction("forget_upload", needs="unread input"),
    *_transaction("settle", needs="late bill"),
    # The end of a run.
    CrashPoint("flows.closing:close_run", "before"),
    *_transaction("inherit"),
    *_transaction("end_run"),
    CrashPoint(FOLDER, "before"),
    CrashPoint(PLACE, "before"),
    CrashPoint(RENAME, "before", within=PLACE),
    CrashPoint(PLACE, "after"),
    CrashPoint(WRITE, "before"),
    CrashPoint(RENAME, "before", within=WRITE),
    CrashPoint(RENAME, "after", within=WRITE),
    CrashPoint(FOLDER, "after"),
    *_transaction("leave"),
)
# What a second run comes by that finds another's beginnings.
RESUMING_POINTS: tuple[CrashPoint, ...] = _transaction("resume")
BY_NAME = {point.name: point for point in (*CRASH_POINTS, *RESUMING_POINTS)}


def arm(point: CrashPoint, nth: int) -> None:
    """From now on the ``nth`` call of the point's function ends this process by SIGKILL."""
    counted = _Counted(nth)
    inside: ContextVar[bool] | None = None
    if point.within:
        inside = ContextVar("inside", default=False)
        _wrap(point.within, functools.partial(_marking, mark=inside))
    _wrap(point.target, functools.partial(_dying, moment=point.moment, counted=counted, inside=inside))


class _Counted:
    """Calls may come from the event loop and from the ledger's thread."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self._lock = threading.Lock()

    def is_the_one(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")


def _wrap(target: str, wrapper_of: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replaces the function wherever the product has it by name: in its module, its class, its importers."""
    function = pkgutil.resolve_name(target)
    holder_name, _, name = target.rpartition(":" if "." not in target.rpartition(":")[2] else ".")
    holder = pkgutil.resolve_name(holder_name)
    wrapper = wrapper_of(function)
    setattr(holder, name, wrapper)
    if inspect.ismodule(holder):
        for module in _product_modules():
            if vars(module).get(name) is function:
                setattr(module, name, wrapper)


def _product_modules() -> list[Any]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in {"flows", "tasks", "blocks"}
    ]


def _marking(function: Callable[..., Any], *, mark: ContextVar[bool]) -> Callable[..., Any]:
    @contextmanager
    def marked() -> Iterator[None]:
        token = mark.set(True)
        try:
            yield
        finally:
            mark.reset(token)

    return _around(function, marked)


def _around(function: Callable[..., Any], surroundings: Callable[[], Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*arguments: Any, **keywords: Any) -> Any:
            with surroundings():
                return await function(*arguments, **keywords)

        return awaited

    @functools.wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        with surroundings():
            return function(*arguments, **keywords)

    return called


def _dying(
    function: Callable[..., Any], *, moment: Moment, counted: _Counted, inside: ContextVar[bool] | None
) -> Callable[..., Any]:
    def meant() -> bool:
        return (inside is None or inside.get()) and counted.is_the_one()

    @contextmanager
    def fatal() -> Iterator[None]:
        if moment == "before" and meant():
            _die()
        yield
        if moment == "after" and meant():
            _die()

    if function is not pkgutil.resolve_name(_COMMIT):
        return _around(function, fatal)

    @functools.wraps(function)
    @contextmanager
    def transaction(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        with function(*arguments, **keywords) as connection, fatal():
            yield connection

    return transaction
