# SPDX-License-Identifier: Apache-2.0
"""Whether a model can be trained with one clipped gradient per example, and what is put in place of what cannot."""

from typing import TypeVar

from torch import nn

from fedgen.errors import ConfigError

Model = TypeVar("Model", bound=nn.Module)
DENSE = (nn.Linear, nn.Embedding)


def private_form(model: Model) -> Model:
    """Return a model whose examples do not see each other.

    Batch norm becomes group norm (same size, other statistics). The rest that mixes examples or has no gradient per example
    (recurrent layers, instance norm that keeps statistics) is refused.

    Raises:
        ConfigError: A layer cannot be replaced; says which and what to use instead.
    """
    from opacus.validators import ModuleValidator

    for name, layer in model.named_modules():
        if isinstance(layer, (nn.LSTM, nn.GRU, nn.RNN)):
            kind = type(layer).__name__
            raise ConfigError(
                f"dp-example: layer {name!r} is nn.{kind}; use opacus.layers.DP{kind}, which has gradients per example"
            )
    if not ModuleValidator.validate(model, strict=False):
        return model
    fixed = ModuleValidator.fix(model)
    faults = ModuleValidator.validate(fixed, strict=False)
    if faults:
        raise ConfigError(f"dp-example: {'; '.join(str(fault) for fault in faults)}")
    return fixed  # type: ignore[no-any-return]


def is_dense(model: nn.Module) -> bool:
    """Return whether all weights are in dense layers, whose gradient norms need no gradient per example (ghost clipping)."""
    own = [layer for layer in model.modules() if any(True for _ in layer.parameters(recurse=False))]
    return all(isinstance(layer, DENSE) for layer in own)
