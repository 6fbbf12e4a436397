"""Makes the helpers of this folder importable, and skips what needs Flower's commands where they are missing."""

import pytest
from loopback import missing_commands


@pytest.fixture
def flower_commands() -> None:
    """Skip a test that starts real Flower processes where their commands are not installed."""
    if missing := missing_commands():
        pytest.skip(f"not installed: {', '.join(missing)}")
