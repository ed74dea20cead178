"""What a browser would make of the page, as far as tests ask that need no browser."""

from decimal import Decimal
from html.parser import HTMLParser

from tasks.accounting.tables import run_tables
from tasks.page import report_html
from tasks.page.texts import MINUS
from tasks.record import RunRecord

_VOID = {"meta", "img", "br", "link", "input"}
# HTML lets these end where the next one begins, and the page makes use of it.
_ENDS_BY_ITSELF = {"td", "tr", "th", "tbody", "thead", "tfoot", "li"}
_TABLE_PARTS = _ENDS_BY_ITSELF - {"li"}


class Page(HTMLParser):
    """``tables`` are rows of texts by id; ``by_id`` and ``by_class`` texts; raises AssertionError on wrong nesting."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.by_id: dict[str, str] = {}
        self.by_class: dict[str, list[str]] = {}
        self.texts_of: dict[str, list[str]] = {}
        self.comments: list[str] = []
        self.numbers: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._table: list[list[str]] | None = None
        self._in_cell = False
        self._brief = ""
        self.feed(content.decode())
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "article":
            self._brief = (attributes.get("id") or "").removeprefix("brief=")
        if tag == "table":
            in_brief = attributes.get("class") == "numbers"
            self._table = (self.numbers if in_brief else self.tables).setdefault(
                self._brief if in_brief else attributes.get("id") or "", []
            )
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in {"td", "th"} and self._table is not None:
            self._table[-1].append("")
        self._in_cell = tag in {"td", "th"} or (self._in_cell and tag not in _TABLE_PARTS | {"caption"})
        if tag not in _VOID | _ENDS_BY_ITSELF:
            self._open.append((tag, attributes, []))

    def handle_endtag(self, tag: str) -> None:
        if tag in _TABLE_PARTS | {"table"}:
            self._in_cell = False
        if tag == "table":
            self._table = None
        if tag in _ENDS_BY_ITSELF:
            return
        opened, attributes, texts = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}> at {self.getpos()}"
        text = "".join(texts)
        self.texts_of.setdefault(tag, []).append(text)
        if attributes.get("id"):
            self.by_id[attributes["id"] or ""] = text
        for name in (attributes.get("class") or "").split():
            self.by_class.setdefault(name, []).append(text)

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)
        if self._in_cell and self._table:
            self._table[-1][-1] += data.rstrip("\n") if data.strip() else ""

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def with_id(self, name: str) -> dict[str, str | None]:
        return next(attributes for _, attributes in self.elements if attributes.get("id") == name)


def page_of(run: RunRecord) -> Page:
    return Page(report_html(run, run_tables(run)))


def number(text: str) -> Decimal:
    """An amount as the page spells it; nothing is 0."""
    return Decimal(text.replace(MINUS, "-").replace(",", "").replace("$", "") or "0")
