"""A converter as SunSpec shows it: models 1, 701, 704 and 715 from address 40000 on.

On the wire a generator's sign: W, Var, WSet and VarSet are what the converter injects, the negative of our demand.

What a client writes to model 704 is kept until the controls are enabled; with WSetEna or VarSetEna set, each write
request is one frame. Its lease is the shorter reversion time of the enabled controls, and the reversion leads to the
converter's safe state with both cleared; so does a request that disables either. Model 715 carries the heartbeats:
DERHb is the device's clock in seconds, ControllerHb tells the writer's epoch in its upper half and counts in the
lower. OpCtl STOP is a release.
"""

from collections.abc import Mapping, Sequence
from math import hypot, nan, sqrt

from sim_plant.banks import Rejection, rejection, swapped
from sim_plant.converter import Mode
from sim_plant.faults import DeviceFault, Values
from sim_plant.stations import ConverterStation
from sim_plant.sunspec_models import BASE, END, LAYOUT, LENGTHS, MARK, Point

_SET_SF = -1
_PER_KW = 1e3 * 10**-_SET_SF
"""Raw units of WSet in a kilowatt."""
_WATTS, _VARS, _STOP = 1, 4, 0

_AT_FIRST = {
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
"""Controls of model 704: all that can be written there."""
_RELEASED = dict.fromkeys(("WSetEna", "WSet", "VarSetEna", "VarSet"), 0)
_ENABLED = {"WSetEna": 1, "VarSetEna": 1}
_WRITABLE = {*_AT_FIRST, "ControllerHb", "OpCtl"}
_ALLOWED = {
    **dict.fromkeys(("WSetEna", "VarSetEna", "OpCtl"), (0, 1)),
    **dict.fromkeys(("WSetRvrt", "VarSetRvrt", "WSetEnaRvrt", "VarSetEnaRvrt"), (0,)),
    "WSetMod": (_WATTS,),
    "VarSetMod": (_VARS,),
    "VarSetPri": (0, 1, 2),
}
_INVERTER_STATE = {Mode.OFF: 0, Mode.SAFE: 7, Mode.REMOTE: 3, Mode.LOCAL: 3, Mode.FAULT: 6}
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
        self._controls = dict(_AT_FIRST)
        self._heartbeat = 0
        self._live = False

    def read(self, address: int, count: int) -> list[int] | Rejection:
        """Words from ``address`` on."""
        image, found = self._image(), dict(enumerate(_split(MARK), BASE))
        for point in _touched(address, count):
            found.update(enumerate(_split(point.encode(image[point.model].get(point.name))), point.address))
        words = [found[a] for a in range(address, address + count)]
        return swapped(words) if DeviceFault.BYTE_SWAP in self._station.instrument.faults else words

    def write(self, address: int, words: Sequence[int]) -> Rejection | None:
        """Write whole points; those between them that can only be read keep their value."""
        touched = _touched(address, len(words))
        if not touched or touched[0].address != address or touched[-1].end != address + len(words):
            return Rejection.ADDRESS
        at = {p.name: words[p.address - address : p.end - address] for p in touched if p.name in _WRITABLE}
        raw = {p.name: p.decode(at[p.name]) for p in touched if p.name in at}
        if not raw:
            return Rejection.ADDRESS
        if any(value not in _ALLOWED.get(name, (value,)) for name, value in raw.items()):
            return Rejection.VALUE
        return self._next(raw)

    def _next(self, raw: Mapping[str, int]) -> Rejection | None:
        if "ControllerHb" in raw:
            if refusal := self._station.claim(raw["ControllerHb"] >> 16):
                return rejection(refusal)
            self._heartbeat = self._heartbeat if self._loses_writes else raw["ControllerHb"]
        return self._command(raw) if _AT_FIRST.keys() & raw.keys() or raw.get("OpCtl") == _STOP else None

    def _command(self, raw: Mapping[str, int]) -> Rejection | None:
        before = self._standing()
        controls = before | {name: value for name, value in raw.items() if name in _AT_FIRST}
        if raw.get("OpCtl") == _STOP or any(controls[ena] < before[ena] for ena in ("WSetEna", "VarSetEna")):
            controls |= _RELEASED
        if _enabled(before) or _enabled(controls):
            refusal = self._station.write(self._frame(controls))
            if refusal is not None:
                return rejection(refusal)
        if not self._loses_writes:
            self._controls = controls
        self._live = self._station.state.mode is Mode.REMOTE
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

    def _standing(self) -> dict[str, int]:
        """The controls; a setpoint that has lapsed has cleared them, and another writer's stands in them."""
        state = self._station.state
        remote = state.mode is Mode.REMOTE
        if self._live and not remote:
            self._controls |= _RELEASED
        if remote and not self._live:
            self._controls |= _ENABLED | dict.fromkeys(("WSetRvrtTms", "VarSetRvrtTms"), round(state.lease_s))
        self._live = remote
        if remote:
            told = {"WSet": state.setpoint_kva.real, "VarSet": state.setpoint_kva.imag}
            in_force = {n: round(-value * _PER_KW) for n, value in told.items() if self._controls[f"{n}Ena"]}
            self._controls |= in_force
        return self._controls

    @property
    def _loses_writes(self) -> bool:
        return self._station.instrument.faults.loses_writes

    def _image(self) -> Mapping[int, Raw]:
        values = self._station.values()
        models: dict[int, Raw] = {1: self._common(), 701: _measured(values), 704: self._control(values)}
        models[715] = {
            "LocRemCtl": values["state"] == Mode.LOCAL,
            "DERHb": (values["clock_s"] or 0) % 2**32,
            "ControllerHb": int(values["writer_epoch"] or 0) << 16 | self._heartbeat & 0xFFFF,
            "AlarmReset": 0,
            "OpCtl": 1,
        }
        return {model: {"ID": model, "L": LENGTHS[model], **models.get(model, {})} for model in (*models, END)}

    def _common(self) -> Raw:
        return {"Mn": "gridlab", "Md": "simulated converter", "Vr": "1", "SN": self._station.name, "DA": 1}

    def _control(self, values: Values) -> Raw:
        standing = self._standing()
        image: dict[str, float | str | None] = {**_UNUSED_704, **standing, "AntiIslEna": 1}
        if values["enable"] and not _enabled(standing):
            image |= {"WSetEna": 1, "VarSetEna": 1}
        if values["enable"]:
            told = {"WSet": values["p_setpoint_kw"], "VarSet": values["q_setpoint_kvar"]}
            image |= {name: -(value or 0.0) * _PER_KW for name, value in told.items()}
            image |= {"WSetRvrtTms": values["lease_given_s"], "VarSetRvrtTms": values["lease_given_s"]}
        left = {"WSetRvrtRem": values["lease_s"], "VarSetRvrtRem": values["lease_s"]}
        return {**image, **left, **_SCALES_704, "VarSetPct_SF": -1}


def _measured(values: Values) -> Raw:
    """Model 701."""
    p_kw, q_kvar, v_v = (nan if (v := values[name]) is None else v for name in ("p_kw", "q_kvar", "v_v"))
    va = 1e3 * hypot(p_kw, q_kvar)
    mode = Mode(int(values["state"] or 0))
    running = mode not in (Mode.OFF, Mode.FAULT)
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


def _touched(address: int, count: int) -> list[Point]:
    return [point for point in LAYOUT if point.address < address + count and address < point.end]


def _split(data: bytes) -> list[int]:
    return [int.from_bytes(data[k : k + 2], "big") for k in range(0, len(data), 2)]
