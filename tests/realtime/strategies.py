"""Random but legal inputs of the 30 s layer."""

from hypothesis import strategies as st

from core.resources import Battery, Capability
from realtime.plane import Interval, Power
from realtime.storage import SocRange, Storage, allowed_power
from realtime.tracker import LoadAndPv, Target


def floats(lower: float, upper: float) -> st.SearchStrategy[float]:
    return st.floats(lower, upper, allow_nan=False, allow_infinity=False)


def powers(limit: float) -> st.SearchStrategy[Power]:
    return st.builds(Power, floats(-limit, limit), floats(-limit, limit))


anything = st.builds(Power, st.floats(), st.floats())
"""NaN and infinity included."""

batteries = st.builds(
    Battery,
    s_max_kva=floats(0.1, 10),
    energy_kwh=floats(0.2, 20),
    soc_min=floats(0.0, 0.4),
    soc_max=floats(0.6, 1.0),
    efficiency=floats(0.7, 1.0),
    capability=st.sampled_from(Capability),
)
amounts = st.builds(LoadAndPv, floats(-1, 6), floats(-3, 3), floats(0, 8))
targets = st.builds(Target, floats(-8, 8), floats(-5, 5), floats(0, 1))


@st.composite
def storages(draw: st.DrawFn, hours: float) -> Storage:
    """A battery anywhere in its band, often at an end of it."""
    battery = draw(batteries)
    share = draw(st.one_of(st.sampled_from([0.0, 1.0, 1e-3, 0.999]), floats(0, 1)))
    soc = min(max(battery.soc_min + share * (battery.soc_max - battery.soc_min), battery.soc_min), battery.soc_max)
    return Storage(battery, soc, allowed_power(battery, SocRange(soc, soc), hours))


@st.composite
def intervals(draw: st.DrawFn, limit: float) -> Interval:
    ends = sorted((draw(floats(-limit, limit)), draw(floats(-limit, limit))))
    return Interval(*ends)
