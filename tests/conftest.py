"""What tests share: one Prefect server for all of them, whichever worker process they run in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign_support import PrefectApi, Workplace
from certificates import read_certificates_once
from hypothesis import HealthCheck, settings

from flows.prefect_server import prefect_service
from flows.shared_service import shared_service

read_certificates_once()
# A busy machine is no defect: time is measured in benchmarks, never in a test. The same examples each time, so that a
# failure is the change's; `pytest --hypothesis-profile searching` looks for new ones.
_ANY_MACHINE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", derandomize=True, **_ANY_MACHINE)
settings.register_profile("searching", max_examples=2_000, **_ANY_MACHINE)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[PrefectApi]:
    """The API of the one server; it ends when the last worker's tests have."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "prefect"
    with shared_service(prefect_service(home), home / "kling-campaigns") as service:
        yield PrefectApi.of(service)


@pytest.fixture
def workplace(tmp_path: Path, prefect_api: PrefectApi) -> Workplace:
    """An empty folder to run campaigns in, with the shared Prefect server behind them."""
    return Workplace(tmp_path / "work", prefect_api)
