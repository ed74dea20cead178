"""One file out of style, script and templates, with a policy that allows these alone."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

_FOLDER = Path(__file__).parent
STYLES = ("base", "overview", "briefs", "figures", "viewer", "graph", "print")
SCRIPTS = ("state", "theme", "briefs", "viewer", "graph", "start")


@dataclass(frozen=True)
class Shell:
    """``policy`` names the exact style and script by their hashes: nothing else on the page can style or run."""

    style: Markup
    script: Markup
    early_script: Markup
    policy: str


@cache
def shell() -> Shell:
    style = _read("style", STYLES, "css")
    body = _read("script", SCRIPTS, "js")
    script = f'(() => {{\n"use strict";\n{body}}})();\n'
    early = _read("script", ("early",), "js")
    policy = (
        "default-src 'none'; img-src 'self' data: file:; media-src 'self' file:; "
        f"style-src {_hash(style)}; script-src {_hash(early)} {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # Our own files; the hashes are of exactly these characters.
    return Shell(Markup(style), Markup(script), Markup(early), policy)  # noqa: S704


def _read(folder: str, names: tuple[str, ...], ending: str) -> str:
    return "".join((_FOLDER / folder / f"{name}.{ending}").read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
