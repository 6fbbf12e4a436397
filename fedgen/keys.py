# SPDX-License-Identifier: Apache-2.0
"""How one key of the run configuration is declared: Flower name, default, meaning, rules for its value."""

import dataclasses
from typing import Any


def key(name: str, default: int | float | str, meaning: str, **rules: object) -> Any:
    """Declare one key as a dataclass field.

    Args:
        name: Its name in Flower's run config.
        default: Its default, which also gives its type.
        meaning: What it does, for the documents.
        rules: JSON Schema rules for its value (`minimum`, `enum` and so on).
    """
    return dataclasses.field(default=default, metadata={"key": name, "meaning": meaning, "rules": rules})
