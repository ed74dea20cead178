"""Reads the blocks that a run names."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from blocks.errors import InvalidInput
from blocks.prefect_blocks import CampaignWorkspace, WaveSpeedAccount

_LIMIT_SECONDS = 30.0


async def load_blocks(account: str | None, workspace: str | None) -> Mapping[str, Any]:
    """The settings that the named blocks give. Raises InvalidInput where a block is not there."""
    values: dict[str, Any] = {}
    for kind, name, option in (
        (WaveSpeedAccount, account, "--account"),
        (CampaignWorkspace, workspace, "--workspace"),
    ):
        if name is None:
            continue
        try:
            async with asyncio.timeout(_LIMIT_SECONDS):
                block: WaveSpeedAccount | CampaignWorkspace = await _load(kind, name)
        except (TimeoutError, httpx.HTTPError) as error:
            raise InvalidInput(
                f"{option} {name}: Prefect's server did not say what is in that block ({type(error).__name__}). "
                "Nothing was spent; run the command again when it answers"
            ) from error
        except ValueError as error:
            raise InvalidInput(
                f"{option} {name}: there is no {kind.get_block_type_slug()} block of that name; make it in Prefect "
                "or in Python, after `prefect block register --module blocks.prefect_blocks`"
            ) from error
        values |= block.values()
    return values


async def _load(kind: type[WaveSpeedAccount] | type[CampaignWorkspace], name: str) -> Any:
    return await kind.aload(name)
