"""Makes the helpers of this folder importable; live tests are skipped, with the reason, where the machine cannot run them."""

from pathlib import Path

import pytest

from emulator.backends.live import doctor


@pytest.fixture(scope="session")
def live_machine() -> None:
    """Skip a test that needs namespaces, TUN devices and Flower's commands where they are missing."""
    if reason := doctor.missing(Path.cwd()):
        pytest.skip(reason)
    if lacking := [check for check in doctor.examine(Path.cwd()) if "TUN" in check.what and not check.is_there]:
        pytest.skip(f"{lacking[0].what}: {lacking[0].advice}")
