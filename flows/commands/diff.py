"""`campaign diff`."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from blocks.errors import InvalidInput
from blocks.ledger import Ledger
from blocks.money import dollars_text
from flows.chosen_settings import chosen_settings
from flows.talk import print_json
from tasks.exports import visible
from tasks.provenance.comparison import Amounts, BriefDifference, Comparison, Pair, StageDifference, compare
from tasks.provenance.comparison_document import comparison_document
from tasks.provenance.word_difference import Piece
from tasks.reconciling.settled_since import settled_record
from tasks.record import InputRecord, RunRecord

_HEADS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_WORDS = {"same": ("", "", ""), "removed": ("[-", "-]", "red"), "added": ("{+", "+}", "green")}
# Of an unchanged stretch of a prompt, enough is shown to find the place.
_CONTEXT = 60
_LINE_ENDS = str.maketrans({"\n": "↵", "\r": "↵", "\t": " ", "\v": " ", "\f": " "})


async def show_difference(first: str, second: str, *, as_json: bool, workspace: str | None) -> int:
    settings = await chosen_settings(workspace=workspace)
    ledger = Ledger.open_if_exists(settings.ledger_address)
    if ledger is None:
        raise InvalidInput(f"there is no run {_inert(first)}; `campaign runs` lists those there are")
    with ledger:
        comparison = compare(_record(ledger, first), _record(ledger, second))
    if as_json:
        print_json(comparison_document(comparison))
        return 0
    console = Console(highlight=False)
    for line in _lines(comparison):
        console.print(line, soft_wrap=True)
    return 0


def _record(ledger: Ledger, run_id: str) -> RunRecord:
    row = ledger.run(run_id)
    record = settled_record(ledger, row.id)
    if record is None:
        raise InvalidInput(
            f"run {row.id} did not come to its end, so it left no record to compare; run the campaign again: it "
            "continues there"
        )
    return record


def _lines(comparison: Comparison) -> Iterator[Text]:
    a, b = comparison.a, comparison.b
    yield Text(f"from {a.run} to {b.run}")
    for what, pair in (
        ("campaign", Pair(a.campaign, b.campaign)),
        ("service", Pair(a.service, b.service)),
        ("price list", Pair(_price_list(a), _price_list(b))),
    ):
        if pair.differ:
            yield Text(f"{what}: {_change(pair)}")
    for brief in comparison.briefs:
        if brief.change != "same":
            yield Text("")
            yield from _brief_lines(brief)
    yield Text("")
    counts = ", ".join(
        f"{count} {change}"
        for change in ("added", "removed", "changed", "same")
        if (count := comparison.count(change))
    )
    yield Text(f"briefs: {counts or 'none'}")
    for name, amounts in (
        ("charged", comparison.total(lambda stage: stage.charged)),
        ("estimated", comparison.total(lambda stage: stage.estimated)),
        ("saved", comparison.total(lambda stage: stage.saved)),
    ):
        yield Text(f"{name}: {_money(amounts)}")
    for stage, seconds in comparison.mean_total_s.items():
        yield Text(f"{stage}, on average: {_seconds(seconds)}")
    yield Text(f"the whole run: {_seconds(Pair(a.seconds, b.seconds))}")


def _price_list(record: RunRecord) -> str:
    return f"{record.price_list.name} ({record.price_list.sha256[:12]})"


def _brief_lines(brief: BriefDifference) -> Iterator[Text]:
    sign, style = _HEADS[brief.change]
    money = f": {_money(brief.charged)} charged" if brief.charged.a or brief.charged.b else ""
    yield Text(f"{sign} {_inert(brief.brief)}{money}", style=style)
    if brief.change != "changed":
        return
    if brief.status.differ:
        yield Text(f"    status: {_change(brief.status)}")
    if brief.take.differ:
        yield Text(f"    take: {_change(brief.take)}")
    for stage in brief.stages:
        if stage.changed:
            yield from _stage_lines(stage)


def _stage_lines(stage: StageDifference) -> Iterator[Text]:
    name = stage.stage
    if stage.records.a is None or stage.records.b is None:
        yield Text(f"  {'+' if stage.records.a is None else '-'} {name}")
    else:
        yield Text(f"    {name}")
    if stage.prompt:
        yield Text("      prompt: ").append_text(_words(stage.prompt))
    for parameter, pair in stage.parameters.items():
        yield Text(f"      {_inert(parameter)}: {_change(pair)}")
    for change in stage.inputs:
        inputs = Pair(_input(change.inputs.a), _input(change.inputs.b))
        yield Text(f"      {change.role} {change.position}: {_change(inputs)}")
    for asset in stage.assets:
        shas = Pair(_short(asset.sha256.a), _short(asset.sha256.b))
        yield Text(f"      {_inert(asset.place)}: {_change(shas)}")
    if stage.outcome.differ:
        yield Text(f"      outcome: {_change(stage.outcome)}")
    if stage.error.differ:
        yield Text(f"      error: {_change(stage.error)}")
    if stage.charged.delta:
        yield Text(f"      charged: {_money(stage.charged)}")
    if stage.estimated.delta:
        yield Text(f"      estimated: {_money(stage.estimated)}")
    if stage.total_s.a is not None and stage.total_s.b is not None:
        yield Text(f"      seconds: {_seconds(stage.total_s)}")


def _words(pieces: tuple[Piece, ...]) -> Text:
    """Marked with brackets as well as colours, for files and for those who do not see colours."""
    text = Text()
    for number, piece in enumerate(pieces):
        before, after, style = _WORDS[piece.change]
        words = piece.text
        if piece.change == "same" and len(words) > 3 * _CONTEXT:
            start = words[:_CONTEXT] if number else ""
            end = words[-_CONTEXT:] if number < len(pieces) - 1 else ""
            words = f"{start} … {end}"
        text.append(f"{before}{_inert(words)}{after}", style=style)
    return text


def _input(item: InputRecord | None) -> str | None:
    return f"{item.source} ({item.sha256[:12]})" if item else None


def _short(sha256: str | None) -> str | None:
    return sha256[:12] if sha256 else None


def _change(pair: Pair[str] | Pair[object]) -> str:
    return f"{_value(pair.a)} → {_value(pair.b)}"


def _value(value: object) -> str:
    return "none" if value is None else _inert(str(value))


def _money(amounts: Amounts) -> str:
    sign = "+" if amounts.delta > 0 else "-" if amounts.delta < 0 else "±"
    change = f"{sign}${dollars_text(abs(amounts.delta))}"
    return f"${dollars_text(amounts.a)} → ${dollars_text(amounts.b)} ({change})"


def _seconds(pair: Pair[float]) -> str:
    shown = ["none" if value is None else f"{value:.1f} s" for value in (pair.a, pair.b)]
    change = "" if pair.a is None or pair.b is None else f" ({pair.b - pair.a:+.1f} s)"
    return f"{shown[0]} → {shown[1]}{change}"


def _inert(text: str) -> str:
    """On one line: a prompt cannot end it and put words of its own where the program speaks."""
    return visible(text.translate(_LINE_ENDS))
