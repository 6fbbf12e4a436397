# SPDX-License-Identifier: Apache-2.0
"""The in-process Flower runtime and the data folder, for the tests of the app."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flower_runtime import flower_identity, grid_class, make_contexts, server_context

__all__ = ["flower_identity", "grid_class", "make_contexts", "server_context"]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep prepared data of this test session in a folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def mitdb_folder() -> Path:
    """Return the folder with MIT-BIH, or skip."""
    places = [Path(__file__).parents[2].parent / "shared" / "data" / "mitdb"]
    if named := os.environ.get("FEDGEN_DATA"):
        places = [Path(named), Path(named) / "mitdb", *places]
    for place in places:
        if (place / "RECORDS").is_file():
            return place
    pytest.skip("MIT-BIH is not on this machine: set FEDGEN_DATA to its folder")
