"""The graph of what was made from what, for the page's script to draw: small enough to stand inside the page."""

import json
from base64 import b64encode
from typing import Any

from markupsafe import Markup

from tasks.exports import visible
from tasks.page.media import PageMedia, flagged_files
from tasks.page.texts import shortened
from tasks.record import RunRecord

ROLES = ("image", "images", "video")


def provenance_json(record: RunRecord, media: PageMedia, limit: int | None) -> Markup:
    """JSON that may stand in a script element; short, since it is there for each of a thousand briefs.

    ``files``: each sha256 once, in base 64; its small picture is named by it. ``undrawn``: numbers in ``files``
    of those that have none. ``stages``: brief, stage, number in ``models``, outcome, inputs (number in ``ROLES``,
    number in ``files``, source where it is not an asset of the same brief), assets (file name, number in ``files``).
    """
    models = sorted({stage.model for stage in record.stages})
    files: dict[str, int] = {}
    stages: list[list[Any]] = []
    for brief in record.briefs:
        here = {asset.sha256 for stage in brief.stages for asset in stage.assets}
        for stage in brief.stages:
            given: list[list[Any]] = []
            for item in stage.inputs:
                source = [] if item.sha256 in here else [shortened(item.source, limit)]
                given.append([ROLES.index(item.role), files.setdefault(item.sha256, len(files)), *source])
            made = [
                [asset.path.rpartition("/")[2], files.setdefault(asset.sha256, len(files))]
                for asset in stage.assets
            ]
            stages.append(
                [stage.brief, stage.stage, models.index(stage.model), stage.outcome.value, given, made]
            )
    hidden = flagged_files(record)
    undrawn = [number for sha256, number in files.items() if sha256 not in media or sha256 in hidden]
    names = [visible(model) for model in models]
    document = {
        "files": [b64encode(bytes.fromhex(sha256)).decode() for sha256 in files],
        "undrawn": undrawn,
        "models": names,
        "stages": stages,
    }
    text = json.dumps(document, separators=(",", ":"))
    # Nothing in a text may end the element, or begin a comment in it.
    for sign, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, escaped)
    return Markup(text)  # noqa: S704 - the signs that HTML knows are escaped above
