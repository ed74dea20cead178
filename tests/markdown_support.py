"""Markdown as what shows it would read it."""

from markdown_it import MarkdownIt
from markdown_it.token import Token

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(markdown: str) -> list[Token]:
    """All of them, those inside lines too, as what shows Markdown would see them."""
    return [
        inner
        for token in MARKDOWN.parse(markdown)
        for inner in (token, *(token.children or ()))
        if inner.type != "inline"
    ]


def shown_text(markdown: str) -> str:
    return "".join(token.content for token in tokens(markdown))
