"""The class of each splitting by name."""

from typing import assert_never

from core.algorithms import SplittingName
from mpc.coordination.star.constraint_splitting import ConstraintSplitting
from mpc.coordination.star.profile_splitting import ProfileSplitting
from mpc.coordination.star.splitting import Splitting


def splitting_named(name: SplittingName) -> type[Splitting]:
    """The class whose :meth:`Splitting.start` begins the algorithm."""
    match name:
        case SplittingName.PROFILE:
            return ProfileSplitting
        case SplittingName.CONSTRAINT:
            return ConstraintSplitting
        case _:
            assert_never(name)
