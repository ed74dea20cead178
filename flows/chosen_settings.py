"""The settings of a command that runs no flow: with those of the blocks that were named, if any."""

from blocks.private_files import tighten_home
from blocks.settings import DEFAULT_HOME, Settings, load_settings, point_prefect_home
from flows.prefect_server import prefect_server, prepare_environment
from flows.preparation import block_values


async def chosen_settings(*, account: str | None = None, workspace: str | None = None) -> Settings:
    """Raises InvalidInput where a named block is not there. Without one, Prefect is not even imported."""
    settings = await _chosen(account, workspace)
    tighten_home(settings.home, whole=settings.home == DEFAULT_HOME)
    return settings


async def _chosen(account: str | None, workspace: str | None) -> Settings:
    if account is None and workspace is None:
        return load_settings()
    # The blocks are where `campaign run` looks for them: on the server that is named, or on that of CAMPAIGN_HOME.
    prepare_environment()
    async with prefect_server(point_prefect_home(load_settings())):
        return load_settings(block=await block_values(account, workspace), account=account)
