"""What ran when: how many generations were under way at once, and each stage as a bar."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from markupsafe import Markup

from tasks.page.charts import axis, tick_text
from tasks.page.makespan import Worked
from tasks.page.texts import brief_seconds, count
from tasks.record import LimitsRecord

_COLUMNS = 160
_MOST_LANES = 60
_MOST_BARS = 600
_LANE = 13
_MINUTE = 60.0


@dataclass(frozen=True)
class Use:
    """How much of one of the account's limits was used at the most."""

    name: str
    used: int
    limit: int | None

    @property
    def share(self) -> float:
        return min(1.0, self.used / self.limit) if self.limit else 0.0


def uses(stages: Sequence[Worked], limits: LimitsRecord | None) -> list[Use]:
    return [
        Use("at a time", most_at_once(stages), limits.max_concurrent if limits else None),
        Use(
            "pictures in a minute",
            _busiest_minute(stages, "image"),
            limits.images_per_minute if limits else None,
        ),
        Use(
            "clips in a minute",
            _busiest_minute(stages, "second"),
            limits.videos_per_minute if limits else None,
        ),
    ]


def most_at_once(stages: Sequence[Worked]) -> int:
    changes = sorted([(item.ended, -1) for item in stages] + [(item.sent, 1) for item in stages])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _busiest_minute(stages: Sequence[Worked], unit: str) -> int:
    window: deque[float] = deque()
    most = 0
    for sent in sorted(item.sent for item in stages if item.stage.unit == unit):
        window.append(sent)
        while sent - window[0] >= _MINUTE:
            window.popleft()
        most = max(most, len(window))
    return most


def in_flight_chart(stages: Sequence[Worked], limits: LimitsRecord | None) -> Markup:
    """Columns of the most that were under way in each stretch of the run, with the account's limit."""
    top = max(item.end for item in stages)
    width = top / _COLUMNS
    columns = [0] * _COLUMNS
    changes = sorted([(item.ended, -1) for item in stages] + [(item.sent, 1) for item in stages])
    now, last = 0, 0
    for moment, change in changes:
        place = min(_COLUMNS - 1, int(moment / width))
        for column in range(last, place + 1):
            columns[column] = max(columns[column], now)
        now += change
        columns[place] = max(columns[place], now)
        last = place
    most, height = max(columns), 96
    limit = limits.max_concurrent if limits else None
    # A limit far above what was used would press everything to the ground; it is named instead.
    scale = limit if limit and limit <= 2 * most else max(most, 1)
    pieces = [
        Markup('<rect class="flight" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"/>').format(
            100 * number / _COLUMNS,
            height - (height - 16) * found / scale,
            100 / _COLUMNS + 0.05,
            (height - 16) * found / scale,
        )
        for number, found in enumerate(columns)
        if found
    ]
    said = f"limit {limit:,}" if limit else ""
    if limit and limit <= 2 * most:
        pieces.append(Markup('<line class="limit" x1="0" x2="100%" y1="16" y2="16"/>'))
    elif limit:
        said += f", far above the {most:,} used"
    pieces.append(Markup('<text class="limit-name" x="100%" y="11" text-anchor="end">{}</text>').format(said))
    pieces.append(Markup('<text class="tick" x="0" y="11">{} at once</text>').format(f"{most:,}"))
    label = f"Generations under way over the run: {most:,} at the most{', ' + said if said else ''}"
    return _framed("in-flight", pieces, height, top, label)


def bars_chart(stages: Sequence[Worked]) -> Markup | None:
    """Each stage as a bar that leads to its brief; None where they are too many to tell apart."""
    lanes = _lanes(stages)
    height = max(lanes) + 1
    if height > _MOST_LANES or len(stages) > _MOST_BARS:
        return None
    top = max(item.end for item in stages)
    pieces = []
    for item, lane in zip(stages, lanes, strict=True):
        y = lane * _LANE + 2
        stage = item.stage
        ended = "" if stage.finished else f", {stage.outcome}"
        title = f"{stage.brief}, {stage.stage}{ended}: {brief_seconds(item.end - item.begin)}"
        if item.sent - item.begin >= 0.005 * top:
            pieces.append(_bar("waiting", item.begin, item.sent, y, top, f"{title}, waiting and uploading"))
        pieces.append(
            Markup('<g data-brief="{}">{}</g>').format(
                stage.brief, _bar(f"is-{stage.stage}", item.sent, item.end, y, top, title)
            )
        )
    told = count(len(stages), "stage")
    label = f"Timeline of {told} over {brief_seconds(top)}; the tables below hold the same times"
    return _framed("lanes", pieces, height * _LANE + 4, top, label)


def _bar(kind: str, begin: float, end: float, y: float, top: float, title: str) -> Markup:
    width = max(100 * (end - begin) / top, 0.25)
    return Markup(
        '<rect class="{}" x="{:.2f}%" y="{}" width="{:.2f}%" height="{}" rx="2"><title>{}</title></rect>'
    ).format(kind, 100 * begin / top, y, width, _LANE - 3, title)


def _lanes(stages: Sequence[Worked]) -> list[int]:
    """The lowest lane that is free when a stage begins."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    lanes, used = [], 0
    for item in stages:
        while busy and busy[0][0] <= item.begin + 1e-6:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, used = used, used + 1
        heappush(busy, (item.end, lane))
        lanes.append(lane)
    return lanes


def _framed(name: str, pieces: list[Markup], height: int, top: float, label: str) -> Markup:
    ticks = []
    for value in axis(top):
        at = 100 * value / top
        anchor = "start" if at < 3 else "end" if at > 97 else "middle"
        ticks.append(
            Markup('<line class="grid" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="{1}"/>').format(at, height)
        )
        ticks.append(
            Markup('<text class="tick" x="{:.2f}%" y="{}" text-anchor="{}">{}</text>').format(
                at, height + 14, anchor, tick_text(value, top)
            )
        )
    return Markup(
        '<svg class="chart {}" width="100%" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(name, height + 18, label, Markup("").join(ticks + pieces))
