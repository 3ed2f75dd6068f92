"""What holds for every test: our code never blocks the event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

# A slow machine must not fail a property; the whole test has its timeout.
settings.register_profile("cangku", deadline=None)
settings.load_profile("cangku")
pytest.register_assert_rewrite("tests.kit", "tests.registry.driver_contract", "tests.registry.token_checks")


@pytest.fixture(autouse=True)
def unblocked_loop() -> Iterator[None]:
    """Fail a test in which our code makes a blocking call on the event loop."""
    with blockbuster_ctx(["registry_service", "web_service", "shared"]) as guard:
        # What a local disk's metadata cache answers costs less than a thread (storage/filesystem.py says when).
        for place in ("_stat", "mark", "unchanged"):
            guard.functions["os.stat"].can_block_in("registry_service/storage/filesystem.py", place)
        yield
