"""Reading what callers send, and saying what is wrong with it."""

import json
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, StringConstraints, ValidationError

from simulator.envelope import Refusal

NEWEST_FIRST = "created_at DESC"
# By when it was, either way, as ``created_at ASC``.
Sort = Annotated[str, StringConstraints(pattern=r"(?i)^\s*created_at(\s+(asc|desc))?\s*$")]

_Body = TypeVar("_Body", bound=BaseModel)


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises Refusal."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise Refusal(400, "Invalid parameter: the body is no JSON document") from error
    if not isinstance(body, dict):
        raise Refusal(400, "Invalid parameter: the body must be a JSON object")
    return body


async def read_body(request: Request, kind: type[_Body]) -> _Body:
    """The body as one of the service's requests. Raises Refusal."""
    try:
        return kind.model_validate(await read_object(request))
    except ValidationError as error:
        raise Refusal(400, explain(error)) from error


def oldest_first(sort: str) -> bool:
    """Whether this order begins with what was first; without a direction that is SQL's, ascending."""
    return not sort.strip().lower().endswith("desc")


def explain(error: ValidationError) -> str:
    """Every parameter that is wrong, in one line."""
    problems = (
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
    return f"Invalid parameter: {'; '.join(problems)}"
