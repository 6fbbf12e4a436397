"""Fixtures of the engine's tests."""

from engine_helpers import run_plan

__all__ = ["run_plan"]
