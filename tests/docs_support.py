"""The project's documents as data: their tables, code blocks, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "data" / "README.md", *(ROOT / "docs").rglob("*.md")]
)

_FENCED = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class CodeBlock:
    language: str  # all that follows the opening fence
    text: str


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> list[str]:
        """The first cells, without the marks of code."""
        return [plain(row[0]) for row in self.rows]


def plain(cell: str) -> str:
    return cell.replace("`", "")


def codes(text: str) -> list[str]:
    """Everything that stands as code in a line of prose or a cell."""
    return _CODE.findall(text)


def prose(document: Path) -> str:
    """The document without its code blocks."""
    return _FENCED.sub("", document.read_text("utf-8"))


def code_blocks(document: Path) -> list[CodeBlock]:
    found = []
    for indent, language, text in _FENCED.findall(document.read_text("utf-8")):
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        found.append(CodeBlock(language.strip(), "".join(lines)))
    return found


def tables(document: Path) -> list[Table]:
    found: list[list[tuple[str, ...]]] = [[]]
    for line in prose(document).splitlines():
        if line.startswith("|"):
            found[-1].append(tuple(cell.strip() for cell in line.strip()[1:-1].split("|")))
        elif found[-1]:
            found.append([])
    # The second line of a table only draws its rule.
    return [Table(rows[0], tuple(rows[2:])) for rows in found if rows]


def table(document: Path, first: str, *, number: int = 0) -> Table:
    """The document's table whose header begins with this, marks of code aside."""
    fitting = [found for found in tables(document) if plain(found.header[0]) == first]
    assert len(fitting) > number, f"{document.name} has no table that begins with {first}"
    return fitting[number]


def links(document: Path) -> list[str]:
    return _LINK.findall(prose(document))


def anchors(document: Path) -> set[str]:
    """The names that headings can be linked by."""
    headings = re.findall(r"^#+ +(.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def described(document: Path, first: str, column: str, *, number: int = 0) -> dict[str, str]:
    """One column of a table by its first."""
    found = table(document, first, number=number)
    place = found.header.index(column)
    assert len(set(found.names)) == len(found.names), "a row appears twice"
    return {plain(row[0]): row[place] for row in found.rows}
