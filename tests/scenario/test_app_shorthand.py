"""``app: PATH`` and ``--data-dir``."""

from pathlib import Path

from emulator.cli import _run_parser
from emulator.scenario import load_scenario

APPS = Path(__file__).parents[1] / "apps"


def test_app_may_be_just_a_path(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text(f"app: {APPS / 'numpy_app'}\ntopology: {{kind: star, sites: 2}}\n")
    scenario = load_scenario(path, overrides=["app.config.parameters=7"])
    assert scenario.app.path == APPS / "numpy_app"
    assert scenario.app.config["parameters"] == 7


def test_data_dir_option():
    assert _run_parser().parse_args(["x.yaml", "--data-dir", "d"]).data_dir == "d"
