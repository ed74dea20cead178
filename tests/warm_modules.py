"""What the warm process loads before commands are forked from it: what does without Prefect first, then the rest."""

import gc
import importlib
import importlib.metadata
import pkgutil
import sys
from contextlib import suppress
from functools import cache

from certificates import read_certificates_once
from PIL import Image

# What a run comes to import by and by.
_LIBRARIES = (
    "alembic.autogenerate",
    "alembic.command",
    "anyio._backends._asyncio",
    "av",
    "encodings.idna",
    "fastapi",
    "mako.template",
    "pandas",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "pygments.formatters.html",
    "sqlite3",
    "sqlalchemy.ext.compiler",
    "xlsxwriter",
)
_OF_PREFECT = (
    "prefect.concurrency._asyncio",
    "prefect.concurrency.services",
    "prefect.engine",
    "prefect.events.worker",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
)
PRODUCT = ("flows", "tasks", "blocks")
# Alembic imports these itself, with what it is about to do.
_MIGRATIONS = "blocks.ledger.migrations"


def _load_product() -> None:
    for package in PRODUCT:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.startswith(_MIGRATIONS):
                with suppress(ImportError):
                    importlib.import_module(found.name)


for library in _LIBRARIES:
    importlib.import_module(library)
Image.init()
read_certificates_once()
# With Prefect out of reach, what needs it cannot be imported.
sys.modules["prefect"] = None  # type: ignore[assignment] # the documented way to say so
_load_product()
import crashing_command  # noqa: F401, E402 - imports modules of the product, which have to come first

del sys.modules["prefect"]
_without_prefect = set(sys.modules)

from flows.prefect_server import prepare_environment  # noqa: E402 - Prefect reads its settings when it is imported

prepare_environment()
_load_product()
for module in _OF_PREFECT:
    importlib.import_module(module)

# What a fresh process that has not imported Prefect cannot have.
WITH_PREFECT = tuple(
    name
    for name in sys.modules
    if name not in _without_prefect and name.partition(".")[0] in {*PRODUCT, "prefect"}
)
from tasks import index_page, page  # noqa: E402 - they stand behind what needs Prefect
from tasks.run_files import recording  # noqa: E402 - it stands behind what needs Prefect

importlib.metadata.version = cache(importlib.metadata.version)
recording.versions()
for environment in (page._environment(None), index_page._environment()):
    for template in environment.list_templates(["j2"]):
        environment.get_template(template)
# Nothing of this is garbage: the forked processes need not look through it, nor copy it by looking.
gc.freeze()
