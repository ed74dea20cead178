"""What depends on what in a campaign, written down without a look at the program; and edits of a campaign."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caching_support import PlainService, made_from, price_of, write_campaign
from hypothesis import strategies as st
from simulator_support import clip, picture

MODELS = {
    "edit": "kwaivgi/kling-image-v3/edit",
    "compose": "kwaivgi/kling-image-o3/edit",
    "video": "kwaivgi/kling-video-o3-pro/video-edit",
}
CLIP = clip()
CLIP_SECONDS = PlainService().clip_seconds
Row = dict[str, str]


@dataclass(frozen=True)
class Work:
    """One piece of work as the model sees it; ``inputs`` are hashes, or the names of pictures that are not made yet."""

    model: str
    parameters: str
    inputs: tuple[str, ...]
    take: str


@dataclass
class Model:
    """``made`` is everything ever paid for, with the hashes of what came of it."""

    made: dict[Work, list[str]] = field(default_factory=dict)

    def announce(self, rows: list[Row], files: dict[str, bytes]) -> list[Work]:
        """What a plan can know to be new before any of it is made."""
        new: dict[Work, None] = {}

        def outputs(work: Work, count: int) -> list[str]:
            if work in self.made:
                return self.made[work]
            new[work] = None
            return [f"{hash(work)}-{number}" for number in range(count)]

        self._walk(rows, files, outputs)
        return list(new)

    def run(self, rows: list[Row], files: dict[str, bytes]) -> list[Work]:
        """What a run makes, each once; from now on it is made."""
        new: list[Work] = []

        def outputs(work: Work, count: int) -> list[str]:
            if work not in self.made:
                contents = made_from(work.model, json.loads(work.parameters), work.inputs)
                assert len(contents) == count
                self.made[work] = [sha(content) for content in contents]
                new.append(work)
            return self.made[work]

        self._walk(rows, files, outputs)
        return new

    def _walk(
        self, rows: list[Row], files: dict[str, bytes], outputs: Callable[[Work, int], list[str]]
    ) -> None:
        # Equal work is found by its inputs alone, so the order of the rows does not matter.
        for row in rows:
            carried: list[str] = []
            for stage in ("edit", "compose", "video"):
                if not row.get(f"{stage}_prompt"):
                    continue
                parameters: dict[str, Any] = {"prompt": row[f"{stage}_prompt"]}
                if stage == "video":
                    parameters["keep_original_sound"] = row.get("video_keep_original_sound") != "false"
                    inputs = [sha(files[row["video"]]), *carried[:4]]
                else:
                    defaults = {"aspect_ratio": "16:9" if stage == "edit" else "auto", "resolution": "1k"}
                    defaults |= {"num_images": "1", "output_format": "png"}
                    chosen = {name: row.get(f"{stage}_{name}") or value for name, value in defaults.items()}
                    parameters |= {**chosen, "num_images": int(chosen["num_images"])}
                    own = row.get(f"{stage}_image" if stage == "edit" else f"{stage}_images", "")
                    inputs = [*carried, *(sha(files[name]) for name in own.split("|") if name)]
                work = Work(
                    MODELS[stage],
                    json.dumps(parameters, sort_keys=True),
                    tuple(inputs),
                    row.get("take") or "1",
                )
                carried = outputs(work, parameters.get("num_images", 1))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def cost_of(work: list[Work]) -> int:
    return sum(price_of(one.model, json.loads(one.parameters), CLIP_SECONDS) for one in work)


# Edits of a campaign: cells, files, orders and names.

WORDS = ("warm", "cold", "warm~", "warm~ very", "cold~")
ROWS: tuple[Row, ...] = (
    {"brief": "a", "edit_prompt": "warm", "edit_image": "mug.png"},
    {
        "brief": "b",
        "edit_prompt": "warm",
        "edit_image": "mug.png",
        "compose_prompt": "on oak",
        "compose_images": "cup.png",
    },
    {
        "brief": "c",
        "edit_prompt": "cold",
        "edit_image": "cup.png",
        "edit_num_images": "2",
        "video_prompt": "snow",
        "video": "clip.mp4",
    },
    # The composition of b, of another edit's pictures: not the same work, though neither edit is made yet.
    {
        "brief": "d",
        "edit_prompt": "cold",
        "edit_image": "mug.png",
        "compose_prompt": "on oak",
        "compose_images": "cup.png",
    },
)


@dataclass
class Desk:
    """A campaign's rows and files, and what may be done to them."""

    folder: Path
    rows: list[Row]
    files: dict[str, bytes]
    store: Path | None = None  # where its runs keep what they made
    renamed: int = 0

    def write(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        return write_campaign(self.folder / "spring.csv", self.rows)

    def edit(self, kind: str, row: int, value: int) -> None:
        self.renamed += 1
        chosen = self.rows[row % len(self.rows)]
        stages = [stage for stage in MODELS if chosen.get(f"{stage}_prompt")]
        stage = stages[value % len(stages)]
        pictures = [name for name in self.files if name.endswith(".png")]
        name = pictures[value % len(pictures)]
        match kind:
            case "prompt":
                chosen[f"{stage}_prompt"] = WORDS[value % len(WORDS)]
            case "parameter" if stage == "video":
                chosen["video_keep_original_sound"] = ("true", "false")[value % 2]
            case "parameter":
                chosen[f"{stage}_aspect_ratio"] = ("1:1", "16:9")[value % 2]
            case "take":
                chosen["take"] = str(1 + value % 3)
            case "bytes":
                self.files[name] = picture(width=300 + value % 3)
            case "file name":
                new = f"file-{self.renamed}.png"
                self.files = {new if old == name else old: content for old, content in self.files.items()}
                for one in self.rows:
                    for column in ("edit_image", "compose_images"):
                        if one.get(column) == name:
                            one[column] = new
            case "brief name":
                chosen["brief"] = f"brief-{self.renamed}"
            case "order":
                self.rows.append(self.rows.pop(0))
            case "copy":
                self.rows.append({**chosen, "brief": f"copy-{self.renamed}"})
            case "folder":
                moved = self.folder.with_name(f"folder-{self.renamed}")
                self.folder = self.folder.rename(moved)
            case "lost asset":
                # Paid for, and the service has it still: what has to be made stays the same.
                kept = sorted(self.store.glob("objects/*/*")) if self.store else []
                if kept:
                    kept[value % len(kept)].unlink()


KINDS = (
    "prompt",
    "parameter",
    "take",
    "bytes",
    "file name",
    "brief name",
    "order",
    "copy",
    "folder",
    "lost asset",
)
EDITS = st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 29))
