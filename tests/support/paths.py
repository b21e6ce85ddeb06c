"""Files of the project that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
CONFIG = CONFIGS / "gridlab9.yaml"
"""The default scenario."""
REGISTERS = CONFIGS / "registers"
BAD_INPUT = ROOT / "tests" / "cases" / "bad_input"
USER_DATA = ROOT / "tests" / "cases" / "user_data"
"""Inputs as users have them, a folder per case."""
