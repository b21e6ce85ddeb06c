"""A converter as SunSpec shows it: models 1, 701, 704 and 715 from address 40000 on.

Values on the wire have the generator's sign: W, Var, WSet and VarSet are injected, the negative of our demand.

Writes to model 704 are kept until the controls are enabled; with WSetEna or VarSetEna set, each write request is one
frame. Its lease is the shorter reversion time of the enabled controls; the reversion leads to the converter's safe
state with both controls disabled. A request that disables either control does the same. Model 715 carries the
heartbeats: DERHb is the device's clock in seconds; the upper half of ControllerHb is the writer's epoch, the lower half
a counter. OpCtl STOP is a release.
"""

from collections.abc import Mapping, Sequence
from math import hypot, nan, sqrt

from sim_plant.banks import Rejection, byte_swapped, exception_code
from sim_plant.converter import ControlState
from sim_plant.faults import DeviceFault, Values
from sim_plant.stations import ConverterStation
from sim_plant.sunspec_models import BASE, END, LAYOUT, LENGTHS, MARK, ModelPoint

_SET_SF = -1
_PER_KW = 1e3 * 10**-_SET_SF
"""Raw units of WSet per kilowatt."""
_WATTS, _VARS, _STOP = 1, 4, 0

_INITIAL = {
    "WSetEna": 0,
    "WSetMod": _WATTS,
    "WSet": 0,
    "WSetRvrt": 0,
    "WSetEnaRvrt": 0,
    "WSetRvrtTms": 0,
    "VarSetEna": 0,
    "VarSetMod": _VARS,
    "VarSetPri": 0,
    "VarSet": 0,
    "VarSetRvrt": 0,
    "VarSetEnaRvrt": 0,
    "VarSetRvrtTms": 0,
}
"""The controls of model 704 that can be written, with their initial values."""
_RELEASED = dict.fromkeys(("WSetEna", "WSet", "VarSetEna", "VarSet"), 0)
_ENABLED = {"WSetEna": 1, "VarSetEna": 1}
_WRITABLE = {*_INITIAL, "ControllerHb", "OpCtl"}
_ALLOWED = {
    **dict.fromkeys(("WSetEna", "VarSetEna", "OpCtl"), (0, 1)),
    **dict.fromkeys(("WSetRvrt", "VarSetRvrt", "WSetEnaRvrt", "VarSetEnaRvrt"), (0,)),
    "WSetMod": (_WATTS,),
    "VarSetMod": (_VARS,),
    "VarSetPri": (0, 1, 2),
}
_INVERTER_STATE = {
    ControlState.OFF: 0,
    ControlState.SAFE: 7,
    ControlState.REMOTE: 3,
    ControlState.LOCAL: 3,
    ControlState.FAULT: 6,
}
_SCALES_701 = {"A_SF": -2, "V_SF": -2, "Hz_SF": -2, "W_SF": 0, "PF_SF": -3, "VA_SF": 0, "Var_SF": 0}
_SCALES_704 = {"PF_SF": -3, "WMaxLimPct_SF": 0, "WSet_SF": _SET_SF, "WSetPct_SF": -1, "VarSet_SF": _SET_SF}
_UNUSED_704 = dict.fromkeys(("PFWInjEna", "PFWAbsEna", "WMaxLimPctEna"), 0)

Raw = Mapping[str, float | str | None]


class SunspecBank:
    """The registers of a converter."""

    address = BASE
    n_words = LAYOUT[-1].end - BASE

    def __init__(self, station: ConverterStation) -> None:
        self._station = station
        self._controls = dict(_INITIAL)
        self._heartbeat = 0
        self._was_remote = False

    def read(self, address: int, count: int) -> list[int] | Rejection:
        """``count`` words from ``address`` on."""
        image, found = self._image(), dict(enumerate(_to_words(MARK), BASE))
        for point in _touched(address, count):
            found.update(enumerate(_to_words(point.encode(image[point.model].get(point.name))), point.address))
        words = [found[a] for a in range(address, address + count)]
        return byte_swapped(words) if DeviceFault.BYTE_SWAP in self._station.instrument.faults else words

    def write(self, address: int, words: Sequence[int]) -> Rejection | None:
        """Write whole points; read-only points between them keep their value."""
        touched = _touched(address, len(words))
        if not touched or touched[0].address != address or touched[-1].end != address + len(words):
            return Rejection.ADDRESS
        at = {p.name: words[p.address - address : p.end - address] for p in touched if p.name in _WRITABLE}
        raw = {p.name: p.decode(at[p.name]) for p in touched if p.name in at}
        if not raw:
            return Rejection.ADDRESS
        if any(value not in _ALLOWED.get(name, (value,)) for name, value in raw.items()):
            return Rejection.VALUE
        return self._apply(raw)

    def _apply(self, raw: Mapping[str, int]) -> Rejection | None:
        if "ControllerHb" in raw:
            if refusal := self._station.claim(raw["ControllerHb"] >> 16):
                return exception_code(refusal)
            self._heartbeat = self._heartbeat if self._loses_writes else raw["ControllerHb"]
        return self._command(raw) if _INITIAL.keys() & raw.keys() or raw.get("OpCtl") == _STOP else None

    def _command(self, raw: Mapping[str, int]) -> Rejection | None:
        before = self._current_controls()
        controls = before | {name: value for name, value in raw.items() if name in _INITIAL}
        if raw.get("OpCtl") == _STOP or any(controls[ena] < before[ena] for ena in ("WSetEna", "VarSetEna")):
            controls |= _RELEASED
        if _enabled(before) or _enabled(controls):
            refusal = self._station.write(self._frame(controls))
            if refusal is not None:
                return exception_code(refusal)
        if not self._loses_writes:
            self._controls = controls
        self._was_remote = self._station.state.mode is ControlState.REMOTE
        return None

    def _frame(self, controls: Mapping[str, int]) -> Values:
        active = [name for name in ("WSet", "VarSet") if controls[f"{name}Ena"]]
        p_kw, q_kvar = (-controls[name] / _PER_KW if name in active else 0.0 for name in ("WSet", "VarSet"))
        lease_s = min((controls[f"{name}RvrtTms"] for name in active), default=0)
        return {
            "p_setpoint_kw": p_kw,
            "q_setpoint_kvar": q_kvar,
            "lease_s": float(lease_s),
            "writer_epoch": float(self._heartbeat >> 16),
            "enable": float(bool(active)),
        }

    def _current_controls(self) -> dict[str, int]:
        """The controls: cleared once the setpoint has expired; those of another writer if one has taken over."""
        state = self._station.state
        remote = state.mode is ControlState.REMOTE
        if self._was_remote and not remote:
            self._controls |= _RELEASED
        if remote and not self._was_remote:
            self._controls |= _ENABLED | dict.fromkeys(("WSetRvrtTms", "VarSetRvrtTms"), round(state.lease_s))
        self._was_remote = remote
        if remote:
            setpoint = {"WSet": state.setpoint_kva.real, "VarSet": state.setpoint_kva.imag}
            in_force = {n: round(-value * _PER_KW) for n, value in setpoint.items() if self._controls[f"{n}Ena"]}
            self._controls |= in_force
        return self._controls

    @property
    def _loses_writes(self) -> bool:
        return self._station.instrument.faults.loses_writes

    def _image(self) -> Mapping[int, Raw]:
        values = self._station.values()
        models: dict[int, Raw] = {1: self._common(), 701: _measured(values), 704: self._control(values)}
        models[715] = {
            "LocRemCtl": values["state"] == ControlState.LOCAL,
            "DERHb": (values["clock_s"] or 0) % 2**32,
            "ControllerHb": int(values["writer_epoch"] or 0) << 16 | self._heartbeat & 0xFFFF,
            "AlarmReset": 0,
            "OpCtl": 1,
        }
        return {model: {"ID": model, "L": LENGTHS[model], **models.get(model, {})} for model in (*models, END)}

    def _common(self) -> Raw:
        return {"Mn": "gridlab", "Md": "simulated converter", "Vr": "1", "SN": self._station.name, "DA": 1}

    def _control(self, values: Values) -> Raw:
        current = self._current_controls()
        image: dict[str, float | str | None] = {**_UNUSED_704, **current, "AntiIslEna": 1}
        if values["enable"] and not _enabled(current):
            image |= {"WSetEna": 1, "VarSetEna": 1}
        if values["enable"]:
            setpoint = {"WSet": values["p_setpoint_kw"], "VarSet": values["q_setpoint_kvar"]}
            image |= {name: -(value or 0.0) * _PER_KW for name, value in setpoint.items()}
            image |= {"WSetRvrtTms": values["lease_given_s"], "VarSetRvrtTms": values["lease_given_s"]}
        left = {"WSetRvrtRem": values["lease_s"], "VarSetRvrtRem": values["lease_s"]}
        return {**image, **left, **_SCALES_704, "VarSetPct_SF": -1}


def _measured(values: Values) -> Raw:
    """The points of model 701."""
    p_kw, q_kvar, v_v = (nan if (v := values[name]) is None else v for name in ("p_kw", "q_kvar", "v_v"))
    va = 1e3 * hypot(p_kw, q_kvar)
    mode = ControlState(int(values["state"] or 0))
    running = mode not in (ControlState.OFF, ControlState.FAULT)
    return {
        "ACType": 2,
        "St": running,
        "InvSt": _INVERTER_STATE[mode],
        "ConnSt": running,
        "Alrm": 0,
        "W": -1e3 * p_kw,
        "Var": -1e3 * q_kvar,
        "VA": va,
        "A": 100 * va / (sqrt(3) * v_v) if v_v else 0.0,
        "LLV": 100 * v_v,
        "LNV": 100 * v_v / sqrt(3),
        "Hz": 5000,
        **_SCALES_701,
        "TotWh_SF": 0,
        "TotVarh_SF": 0,
        "Tmp_SF": 0,
    }


def _enabled(controls: Mapping[str, int]) -> bool:
    return bool(controls["WSetEna"] or controls["VarSetEna"])


def _touched(address: int, count: int) -> list[ModelPoint]:
    return [point for point in LAYOUT if point.address < address + count and address < point.end]


def _to_words(data: bytes) -> list[int]:
    return [int.from_bytes(data[k : k + 2], "big") for k in range(0, len(data), 2)]
