"""From when on a run is judged: from the first sample that its setpoints have brought about.

A run that begins in the middle of a day finds converters at rest. It reads them a few times before it trusts them, and
then moves them at their ramp; until they have arrived, voltages are those of a grid that nobody controls yet.
"""

from datetime import datetime, timedelta

import pandas as pd

from realtime.fallback import Rung
from realtime.reasons import Reason

AT_MOST = timedelta(minutes=5)
"""A run is judged from then on in any case: a converter that never follows must not hide all others."""


def judged_from(rung: pd.DataFrame, reasons: pd.DataFrame) -> datetime:
    """Time of the first sample after a cycle in which all converters followed the plan at the end of their ramps.

    Args:
        rung, reasons: of each cycle, text [samples, prosumers]; the rung of a passive house is empty.
    """
    times = pd.DatetimeIndex(rung.index)
    follows = rung.isin(("", Rung.USE)) & ~reasons.apply(lambda column: column.str.contains(Reason.RAMP, regex=False))
    arrived = follows.all(axis=1).shift(1, fill_value=False)
    first = times[arrived.to_numpy()][:1].append(times[-1:])[0]
    latest = times[times <= times[0] + AT_MOST][-1]
    return pd.Timestamp(min(first, latest)).to_pydatetime()
