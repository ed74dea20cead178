"""What a simulator is started with, and the account levels that the service knows."""

from dataclasses import dataclass, field
from pathlib import Path

from simulator.faults import Faults


@dataclass(frozen=True)
class Level:
    """An account level: generations started per minute by kind, and how many may be in work at once."""

    images_per_minute: int
    videos_per_minute: int
    concurrent: int

    def per_minute(self, kind: str) -> int:
        return self.videos_per_minute if kind == "video" else self.images_per_minute


LEVELS = {
    "bronze": Level(images_per_minute=2, videos_per_minute=2, concurrent=2),
    "silver": Level(images_per_minute=500, videos_per_minute=500, concurrent=300),
    "gold": Level(images_per_minute=3_000, videos_per_minute=3_000, concurrent=3_000),
    "ultra": Level(images_per_minute=5_000, videos_per_minute=5_000, concurrent=10_000),
}


@dataclass(frozen=True)
class Settings:
    """``base_url`` is the origin under which the service answers; ``clock`` multiplies every latency.

    ``key`` is the only API key accepted; None accepts any that is not empty.
    """

    home: Path
    base_url: str
    clock: float = 0.02
    key: str | None = field(default=None, repr=False)
    level: str = "silver"
    faults: Faults = field(default_factory=Faults)

    @property
    def limits(self) -> Level:
        return LEVELS[self.level]
