"""What holds for every test: our code never blocks the event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def unblocked_loop() -> Iterator[None]:
    """Fail a test in which our code makes a blocking call on the event loop."""
    with blockbuster_ctx(["registry_service", "web_service", "shared"]):
        yield
