"""How long anything may happen: a minute or two, or with ``--hypothesis-profile=proof`` more than an hour."""

from hypothesis import HealthCheck, Phase, settings

SHORT, PROOF = "short", "proof"
SHORT_S = 900
"""How long the short one may take where the machine is busy."""


def register() -> None:
    """Both profiles, before pytest chooses one."""
    settings.register_profile(
        SHORT,
        max_examples=10,
        stateful_step_count=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=tuple(HealthCheck),
    )
    longer = {"max_examples": 2000, "stateful_step_count": 15, "derandomize": False, "print_blob": True}
    settings.register_profile(PROOF, settings.get_profile(SHORT), **longer)
