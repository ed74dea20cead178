"""What is generated in docs/, from the code: `make docs` writes it, and a test holds it against the files."""

import json
import re
from pathlib import Path
from typing import Any

from docs_support import ROOT

from tasks.briefs.brief_columns import brief_schema, column_table
from tasks.provenance.manifest_document import manifest_schema, manifest_tables

_COLUMNS = re.compile(r"^\| column \| values \| default \| meaning \|\n(?:\|.*\n)+", re.MULTILINE)
_KEYS = re.compile(r"^### The run\n(?:.*\n)*?(?=^## |\Z)", re.MULTILINE)


def generated() -> dict[Path, str]:
    """The whole text of every file that is generated, or has a generated part."""
    campaign, manifest = ROOT / "docs" / "campaign-csv.md", ROOT / "docs" / "manifest.md"
    return {
        ROOT / "docs" / "brief.schema.json": _json(brief_schema()),
        campaign: _with(campaign, _COLUMNS, column_table()),
        ROOT / "docs" / "manifest.schema.json": _json(manifest_schema()),
        manifest: _with(manifest, _KEYS, manifest_tables() + "\n"),
    }


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _with(document: Path, part: re.Pattern[str], text: str) -> str:
    # A function, since a replacement of its own would have its backslashes read.
    changed, count = part.subn(lambda _: text, document.read_text("utf-8"))
    if count != 1:
        raise RuntimeError(f"{document} has {count} parts to be generated, not one")
    return changed


def write() -> None:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
