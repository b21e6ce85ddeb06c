"""The tables of a run, checked before they are drawn."""

from math import inf

import pandas as pd

from controller.runs.directory import NAME_COLUMNS, Run
from core.errors import Fault, InputError

MAY_BE_EMPTY = ("soc", "gap_rel", "reached_round")
TEXT_COLUMNS = ("time", "prosumer", "node", "line", "splitting", "algorithm", *NAME_COLUMNS)


def columns(run: Run, file: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a table. They must exist, be complete and, except for names and times, be finite numbers.

    Raises:
        InputError: they are not.
    """
    table, path = run.table(file), f"{run.path}/{file}"
    if missing := [name for name in names if name not in table]:
        raise InputError([Fault(path, name, "no such column", "a table as gridlab writes it") for name in missing])
    table = table[list(names)]
    numbers = [name for name in names if name not in TEXT_COLUMNS]
    if words := [name for name in numbers if len(table) and not pd.api.types.is_numeric_dtype(table[name])]:
        raise InputError([Fault(path, name, "text", "numbers") for name in words])
    holes = [name for name in names if name not in MAY_BE_EMPTY and table[name].isna().any()]
    infinite = [name for name in numbers if table[name].isin([-inf, inf]).any()]
    if holes or infinite:
        raise InputError(
            [Fault(path, name, "an empty cell or infinity", "finite numbers") for name in holes + infinite]
        )
    return table
