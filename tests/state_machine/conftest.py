"""The profiles of Hypothesis have to be known before pytest chooses one."""

from tests.state_machine import profiles

profiles.register()
