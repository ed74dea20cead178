"""The browser of a test module that looks at pages."""

from collections.abc import Iterator

import pytest
from browser_support import chromium
from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found
