"""Uploads in both forms, and the files behind the URLs that the service gives out."""

import mimetypes
import uuid
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Request, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from simulator.bodies import read_body
from simulator.envelope import Refusal, success
from simulator.media import LARGEST_UPLOAD_BYTES, OUTPUTS_PATH, REWRITTEN_PATH, UPLOADS_PATH, upload_url
from simulator.records import Upload
from simulator.service import Service, Visit
from simulator.service_time import now

PUT_PATH = "/files/incoming"
_ANY_TYPE = "application/octet-stream"
_CHUNK_BYTES = 1024 * 1024


class TicketRequest(BaseModel):
    filename: str = Field(min_length=1, max_length=1_000)
    size: int = Field(ge=1, le=LARGEST_UPLOAD_BYTES)
    content_type: str | None = None


def upload_routes(service: Service) -> APIRouter:
    router = APIRouter()

    @router.post("/api/v3/media/uploads")
    async def ticket(request: Request) -> Response:
        service.authorize(request)
        if not service.switches.ticket_upload:
            raise Refusal(404, "not found")
        wanted = await read_body(request, TicketRequest)
        upload = _announced(wanted.filename, wanted.content_type, wanted.size)
        service.books.add_upload(upload)
        return success(
            {
                "download_url": upload_url(service.settings.base_url, upload),
                "upload": {
                    "method": "PUT",
                    "url": f"{service.settings.base_url}{PUT_PATH}/{upload.id}",
                    "headers": {"Content-Type": upload.content_type},
                },
            }
        )

    @router.put(f"{PUT_PATH}/{{upload_id}}")
    async def put(upload_id: str, request: Request) -> Response:
        if "authorization" in request.headers:
            raise Refusal(
                400, "The upload takes no Authorization header: the API key was sent where it must not go"
            )
        upload = service.books.upload(upload_id)
        if upload is None or service.media.expired(upload.created_at):
            raise Refusal(404, "upload not found or expired")
        unfinished = service.media.upload_path(f"{upload_id}.{uuid.uuid4().hex}.part")
        try:
            if await _receive(request, unfinished, limit=upload.size) != upload.size:
                raise Refusal(
                    400, f"The upload was announced with {upload.size} bytes, but another number came"
                )
            unfinished.replace(service.media.upload_path(upload_id))
        finally:
            unfinished.unlink(missing_ok=True)
        service.books.store_upload(upload_id, at=now())
        return Response(status_code=200)

    @router.post("/api/v3/media/upload/binary")
    @router.post("/api/v2/media/upload/binary")
    async def binary(request: Request, file: Annotated[UploadFile, File()]) -> Response:
        service.authorize(request)
        size = file.size or 0
        if not 0 < size <= LARGEST_UPLOAD_BYTES:
            raise Refusal(400, "Invalid parameter: file must have between 1 byte and 200 MB")
        upload = _announced(file.filename or "upload", file.content_type, size)
        with service.media.upload_path(upload.id).open("wb") as target:
            while chunk := await file.read(_CHUNK_BYTES):
                target.write(chunk)
        service.books.add_upload(upload)
        service.books.store_upload(upload.id, at=now())
        return success(
            {
                "type": upload.content_type.partition("/")[0],
                "download_url": upload_url(service.settings.base_url, upload),
                "filename": upload.filename,
                "size": size,
            }
        )

    return router


def file_routes(service: Service) -> APIRouter:
    """Public URLs without a signature, as those of the real service: no key is asked for."""
    router = APIRouter()

    @router.get(f"{UPLOADS_PATH}/{{upload_id}}/{{filename}}")
    @router.get(f"{REWRITTEN_PATH}/{{upload_id}}/{{filename}}")
    async def upload(upload_id: str) -> Response:
        stored = service.media.stored_upload(upload_id)
        if stored is None:
            raise Refusal(404, "file not found or expired")
        return FileResponse(service.media.upload_path(upload_id), media_type=stored.content_type)

    @router.get(f"{OUTPUTS_PATH}/{{prediction_id}}/{{filename}}")
    async def output(prediction_id: str, filename: str, request: Request) -> Response:
        made = service.media.live_output(prediction_id, filename)
        if made is None:
            raise Refusal(404, "file not found or expired")
        Visit.of(request).prediction_id = prediction_id
        path = service.media.outputs_folder(prediction_id) / made.filename
        return FileResponse(path, media_type=made.content_type)

    return router


def _announced(filename: str, content_type: str | None, size: int) -> Upload:
    # Only the last part of a name: it stands in a URL, and a caller may send a whole path.
    name = filename.replace("\\", "/").rpartition("/")[2]
    if name in {"", ".", ".."}:
        name = "upload"
    guessed = content_type or mimetypes.guess_type(name)[0] or _ANY_TYPE
    return Upload(uuid.uuid4().hex, name, guessed, size, created_at=now(), stored_at=None)


async def _receive(request: Request, target: Path, *, limit: int) -> int:
    """Writes the body to a file and returns its size; stops writing beyond the limit."""
    size = 0
    with target.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                file.write(chunk)
    return size
