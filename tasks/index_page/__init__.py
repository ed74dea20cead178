"""``OUT/index.html``: all runs on one page. What was really paid and what was only simulated never stand in one sum."""

import base64
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.accounting.run_figures import RunSummary
from tasks.exports import duration_text, utf8, visible, write_atomically
from tasks.index_page.charts import Bar, Line, bar_chart, full_height, line_chart, share_bar
from tasks.page.texts import brief_seconds, count, money

NAME = "index.html"
# Only a page that has this in it is written over: OUT may be a folder with an index.html of somebody's own.
MARK = b'<meta name="generator" content="kling-campaigns: all runs">'
# The newest; older ones are counted, and `campaign runs` lists them all.
MOST_RUNS = 1_000

_HERE = Path(__file__).parent
_PAGE = _HERE.parent / "page"
_STAGES = {"edit": "edited", "compose": "composed", "video": "clips"}


@dataclass(frozen=True)
class _Line:
    """One run of the table."""

    summary: RunSummary
    link: str | None
    share: str


def write_index_page(summaries: Sequence[RunSummary], out: Path) -> Path | None:
    """Write or renew the page over these runs, the newest first, in ``out``; None where another page is in its place.

    Raises OSError where the folder cannot be written.
    """
    path = out / NAME
    with contextlib.suppress(FileNotFoundError):
        if MARK not in path.read_bytes():
            return None
    write_atomically(path, index_html(summaries, out))
    return path


def index_html(summaries: Sequence[RunSummary], out: Path) -> bytes:
    """Draw the page. A run is linked where its report is there now, by its place relative to ``out``."""
    template = _environment().get_template("index.html.j2")
    shown = summaries[:MOST_RUNS]
    groups = [
        _Group("real", "Runs that cost money", [one for one in shown if not one.simulated], out),
        _Group("simulated", "Simulated runs", [one for one in shown if one.simulated], out),
    ]
    html = template.render(
        style=_style(),
        script=_script(),
        early=_early(),
        policy=_policy(),
        mark=Markup(MARK.decode()),  # noqa: S704 - a constant of this module
        groups=groups,
        older=count(len(summaries) - len(shown), "older one is", "older ones are")
        if summaries[MOST_RUNS:]
        else "",
        runs=count(len(shown), "run"),
    )
    return utf8(html)


class _Group:
    """All runs of one kind: ``summaries`` are the newest first, charts go from the oldest on."""

    def __init__(self, name: str, title: str, summaries: Sequence[RunSummary], out: Path) -> None:
        self.name = name
        self.title = title
        self.lines = [_line(summary, out) for summary in summaries]
        self._ended = [(one, one.figures) for one in reversed(summaries) if one.figures is not None]

    @property
    def charged(self) -> int:
        return sum(figures.charged for _, figures in self._ended)

    @property
    def saved(self) -> int:
        return sum(figures.saved for _, figures in self._ended)

    @property
    def seconds(self) -> float:
        return sum(figures.seconds for _, figures in self._ended)

    @property
    def briefs_done(self) -> int:
        return sum(figures.briefs.get("done", 0) for _, figures in self._ended)

    @property
    def ended(self) -> int:
        return len(self._ended)

    @property
    def failures(self) -> list[tuple[str, int, Markup]]:
        """Cause, how many stages, and a bar; the most frequent first."""
        total: Counter[str] = Counter()
        for _, figures in self._ended:
            total.update(figures.failures)
        most = max(total.values(), default=0)
        return [
            (cause, number, share_bar("is-failed", number, most))
            for cause, number in sorted(total.items(), key=lambda item: (-item[1], item[0]))
        ]

    def cost_chart(self) -> Markup:
        top = max((figures.charged + figures.saved for _, figures in self._ended), default=0)
        bars = [
            Bar(
                (("is-charged", figures.charged), ("is-saved", figures.saved)),
                f"{one.run}: {money(figures.charged)} charged, {money(figures.saved)} saved",
            )
            for one, figures in self._ended
        ]
        label = (
            f"Cost of {count(self.ended, 'run')}, the oldest first: {money(self.charged)} charged, {money(self.saved)} "
            f"saved in all; the dearest would have cost {money(top)}"
        )
        return bar_chart(bars, top=full_height(top), label=label, shown=lambda value: money(round(value)))

    def cache_chart(self) -> Markup:
        shares = [(one, figures.cached_share) for one, figures in self._ended]
        bars = [
            Bar((("is-cached", share or 0.0),), f"{one.run}: {_percent(share)} cached")
            for one, share in shares
        ]
        known = [share for _, share in shares if share is not None]
        label = f"Cached share of {count(self.ended, 'run')}, the oldest first: {_percent(_mean(known))} on average"
        return bar_chart(bars, top=1.0, label=label, shown=_percent)

    def latency_chart(self) -> Markup:
        lines = [self._latency(stage) for stage in _STAGES]
        known = [value for line in lines for value in line.values if value is not None]
        words = [
            f"{stage} from {brief_seconds(min(values))} to {brief_seconds(max(values))}"
            for stage, line in zip(_STAGES, lines, strict=True)
            if (values := [value for value in line.values if value is not None])
        ]
        label = (
            f"Median seconds from a stage's start to its end, run by run: {', '.join(words) or 'none yet'}"
        )
        return line_chart(lines, top=full_height(max(known, default=0.0)), label=label, shown=brief_seconds)

    def _latency(self, stage: str) -> Line:
        values = tuple(figures.median_s.get(stage) for _, figures in self._ended)
        titles = tuple(
            "" if value is None else f"{one.run}: {stage} {brief_seconds(value)}"
            for (one, _), value in zip(self._ended, values, strict=True)
        )
        return Line(f"is-{stage}", values, titles)


def _line(summary: RunSummary, out: Path) -> _Line:
    share = summary.figures.cached_share if summary.figures else None
    return _Line(summary, _link(summary.report, out), _percent(share))


def _link(report: Path, out: Path) -> str | None:
    try:
        if not report.is_file():
            return None
        place = os.path.relpath(report, out.absolute())
    except (OSError, ValueError):  # ValueError: on another drive
        return None
    return quote(utf8(Path(place).as_posix()))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


@cache  # it keeps the template, whose compilation takes longer than a small page
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": money, "visible": visible, "duration": duration_text}
    environment.globals |= {"STAGES": _STAGES}
    return environment


# Our own files, and a policy that admits exactly these characters.


@cache
def _style() -> Markup:
    pieces = (_PAGE / "style" / "base.css", _PAGE / "style" / "figures.css", _HERE / "index.css")
    return Markup("".join(_texts(pieces)))  # noqa: S704 - files of this program


@cache
def _early() -> Markup:
    return Markup("".join(_texts([_PAGE / "script" / "early.js"])))  # noqa: S704 - a file of this program


@cache
def _script() -> Markup:
    pieces = (_PAGE / "script" / "theme.js", _HERE / "index.js")
    return Markup(f'(() => {{\n"use strict";\n{"".join(_texts(pieces))}}})();\n')  # noqa: S704 - files of this program


@cache
def _policy() -> str:
    return (
        f"default-src 'none'; style-src {_hash(_style())}; script-src {_hash(_early())} {_hash(_script())}; "
        "base-uri 'none'; form-action 'none'"
    )


def _texts(paths: Sequence[Path]) -> Iterator[str]:
    return (path.read_text("utf-8") for path in paths)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
