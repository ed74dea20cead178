"""Remote files by script: a name server, a file, and a fetch of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from scripted_service import Script

from blocks.remote import Fetched, RemoteFiles

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
PUBLIC = "93.184.216.34"
URL = "https://pictures.example/a.png?sig=secret"


class Names:
    """A name server: answers by name, in turn where it has a list of answers."""

    def __init__(self, **answers: tuple[str, ...] | list[tuple[str, ...]]) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, _: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.get(host, (PUBLIC,) if host[0].isalpha() else (host,))
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        if not answer:
            raise OSError("unknown host")
        return answer


def remote_of(
    script: Script, *, names: Names | None = None, trusted: str | None = None, **options: Any
) -> RemoteFiles:
    return RemoteFiles(
        trusted,
        sleep=script.sleep,
        resolve=names or Names(),
        transport=httpx.MockTransport(script),
        **options,
    )


async def fetch(
    remote: RemoteFiles, into: Path, url: str = URL, *, max_bytes: int = 10**6, seconds: float = 20
) -> Fetched:
    async with remote:
        return await remote.fetch(url, into, max_bytes=max_bytes, max_seconds=seconds)


def picture(**headers: str) -> httpx.Response:
    return httpx.Response(200, content=PICTURE, headers={"Content-Type": "image/png", **headers})


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
