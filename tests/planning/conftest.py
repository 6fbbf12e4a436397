import sys
from pathlib import Path

from hypothesis import settings

# The builders beside the tests are imported by name; plug-ins are referred to as ``planning_builder:function``.
sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("repeatable")
