"""The JSON Schema of a brief and the table of columns: as the code has them, and as the reader takes rows."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from docs_support import ROOT
from generated_docs import generated
from jsonschema import Draft202012Validator

from tasks.briefs.brief_columns import COLUMNS, MATRIX_COLUMNS, SOURCE_COLUMNS, brief_schema
from tasks.briefs.reading import parse_campaign
from tasks.models import REQUESTS

SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "brief.schema.json").read_text("utf-8"))
VALID = Draft202012Validator(SCHEMA)
EDIT = {"brief": "b", "edit_prompt": "warm light", "edit_image": "shoe.png"}
COMPOSE = {"brief": "b", "compose_prompt": "on a table", "compose_images": "a.png|b.png"}
VIDEO = {"brief": "b", "video_prompt": "at dusk", "video": "walk.mp4"}


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == generated()[path], "run `make docs`"


def test_the_schema_is_one_and_describes_every_column() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert tuple(SCHEMA["properties"]) == COLUMNS
    assert all(
        column["description"] and column["type"] == "string" for column in SCHEMA["properties"].values()
    )
    assert SCHEMA["required"] == ["brief"]
    for stage, request in REQUESTS.items():
        for name, field in request.model_fields.items():
            column = SCHEMA["properties"][f"{stage}_{name}"]
            assert column.get("default", "") == ("" if name == "prompt" else str(field.default).lower())
    assert set(MATRIX_COLUMNS) == {"edit_aspect_ratio", "compose_aspect_ratio"}
    assert set(SOURCE_COLUMNS) < set(COLUMNS)
    assert brief_schema() == SCHEMA


@pytest.mark.parametrize("name", ["data/campaign.csv"])
def test_the_sample_campaign_is_valid(name: str) -> None:
    with (ROOT / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        VALID.validate(row)


@pytest.mark.parametrize(
    ("row", "right"),
    [
        (EDIT, True),
        (COMPOSE, True),
        (VIDEO, True),
        (EDIT | COMPOSE | VIDEO | {"take": "12"}, True),
        (EDIT | {"compose_prompt": "x"}, True),
        (EDIT | {"edit_aspect_ratio": "1:1|9:16 | 16:9"}, True),
        (COMPOSE | {"compose_aspect_ratio": "auto|1:1"}, True),
        (EDIT | {"edit_prompt": "{{" * 2500}, True),
        (EDIT | {"brief": "a" * 64}, True),
        (EDIT | {"brief": "console"}, True),
        (COMPOSE | {"compose_images": "|".join("abcdefghij")}, True),
        (EDIT | {"brief": ""}, False),
        (EDIT | {"brief": "a" * 65}, False),
        (EDIT | {"brief": "a."}, False),
        (EDIT | {"brief": "b@9x16"}, False),
        (EDIT | {"brief": "Con.txt"}, False),
        (EDIT | {"brief": "lpt1"}, False),
        ({"brief": "b"}, False),
        (EDIT | {"edit_prompt": " "}, False),
        (EDIT | {"edit_prompt": "x" * 2501}, False),
        (EDIT | {"edit_image": ""}, False),
        (EDIT | {"edit_image": "a.png|b.png"}, False),
        (EDIT | {"edit_aspect_ratio": "auto"}, False),
        (EDIT | {"edit_aspect_ratio": "1:1|"}, False),
        (EDIT | {"edit_resolution": "4k"}, False),
        (EDIT | {"edit_num_images": "10"}, False),
        (EDIT | {"edit_output_format": "jpg"}, False),
        (EDIT | {"take": "0"}, False),
        (COMPOSE | {"compose_images": ""}, False),
        (COMPOSE | {"compose_images": "a||b"}, False),
        (COMPOSE | {"compose_images": "|".join("abcdefghijk")}, False),
        (VIDEO | {"video": " "}, False),
        (VIDEO | {"video_images": "|".join("abcde")}, False),
        (VIDEO | {"video_keep_original_sound": "perhaps"}, False),
    ],
)
def test_the_schema_and_the_reader_agree(tmp_path: Path, row: dict[str, str], right: bool) -> None:
    path = tmp_path / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    assert (not parse_campaign(path).problems) is right
    assert VALID.is_valid(row) is right
