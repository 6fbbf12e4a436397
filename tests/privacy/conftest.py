# SPDX-License-Identifier: Apache-2.0
"""The in-process Flower runtime, and a whole run of the app under any mechanism."""

from typing import Any

import pytest
from flower_runtime import flower_identity, grid_class, make_contexts, server_context

__all__ = ["flower_identity", "grid_class", "make_contexts", "server_context"]

CLIENTS = 4
RUN_CONFIG: dict[str, Any] = {
    "num-server-rounds": 2,
    "data.source": "simulated",
    "data.max-beats-per-patient": 30,
    "data.test-beats-per-patient": 30,
    "min-available-nodes": CLIENTS,
    "min-replies": 2,
    "seed": 7,
}


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep prepared data of this test session in a folder of its own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def run(make_contexts: Any, server_context: Any, grid_class: Any) -> Any:
    """Return a function that runs the app with some settings changed; gives the server's context and the grid."""

    def start(changes: dict[str, Any] | None = None, *, clients: int = CLIENTS, prepare: Any = None) -> Any:
        from fedgen import client_app, server_app

        run_config = {**RUN_CONFIG, **(changes or {})}
        context = server_context(run_config)
        grid = grid_class(client_app.app, make_contexts(run_config, clients))
        if prepare is not None:
            prepare(grid)
        server_app.app(grid, context)
        return context, grid

    return start
