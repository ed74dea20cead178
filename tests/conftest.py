"""What tests share: one Prefect server for all of them, whichever worker process they run in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign_support import Workplace
from hypothesis import HealthCheck, settings

from flows.prefect_server import prefect_service
from flows.shared_service import shared_service

# A busy machine is no defect: time is measured in benchmarks, never in a test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The API of the one server; it ends when the last worker's tests have."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "prefect"
    with shared_service(prefect_service(home), home / "kling-campaigns") as url:
        yield f"{url}/api"


@pytest.fixture
def workplace(tmp_path: Path, prefect_api: str) -> Workplace:
    """An empty folder to run campaigns in, with the shared Prefect server behind them."""
    return Workplace(tmp_path / "work", prefect_api)
