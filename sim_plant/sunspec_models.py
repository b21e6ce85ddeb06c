"""SunSpec information models 1, 701, 704 and 715: their points in order, and the encoding of a point.

Transcribed from the SunSpec DER information model independently of ``drivers``: a wrong table cannot agree with itself.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

BASE, END = 40000, 0xFFFF
_FORMATS = {"u16": ">H", "e16": ">H", "i16": ">h", "sf": ">h", "i32": ">i", "u32": ">I", "b32": ">I", "u64": ">Q"}
_ABSENT = {"i16": -(2**15), "sf": -(2**15), "i32": -(2**31)}
"""Raw values of the signed types for "not implemented"; of the others it is all bits set, of texts none."""

_PHASE = (
    "W{0}:i16 VA{0}:i16 Var{0}:i16 PF{0}:i16 A{0}:i16 V{0}{1}:u16 V{0}:u16"
    " TotWhInj{0}:u64 TotWhAbs{0}:u64 TotVarhInj{0}:u64 TotVarhAbs{0}:u64 "
)
_POINTS = {
    1: "Mn:s16 Md:s16 Opt:s8 Vr:s8 SN:s16 DA:u16 Pad:u16",
    701: "ACType:e16 St:e16 InvSt:e16 ConnSt:e16 Alrm:b32 DERMode:b32 W:i16 VA:i16 Var:i16 PF:i16 A:i16 LLV:u16 LNV:u16"
    " Hz:u32 TotWhInj:u64 TotWhAbs:u64 TotVarhInj:u64 TotVarhAbs:u64"
    " TmpAmb:i16 TmpCab:i16 TmpSnk:i16 TmpTrns:i16 TmpSw:i16 TmpOt:i16 "
    + "".join(_PHASE.format(*pair) for pair in (("L1", "L2"), ("L2", "L3"), ("L3", "L1")))
    + "ThrotPct:u16 ThrotSrc:b32 A_SF:sf V_SF:sf Hz_SF:sf W_SF:sf PF_SF:sf VA_SF:sf Var_SF:sf TotWh_SF:sf TotVarh_SF:sf"
    " Tmp_SF:sf MnAlrmInfo:s32",
    704: "PFWInjEna:e16 PFWInjEnaRvrt:e16 PFWInjRvrtTms:u32 PFWInjRvrtRem:u32"
    " PFWAbsEna:e16 PFWAbsEnaRvrt:e16 PFWAbsRvrtTms:u32 PFWAbsRvrtRem:u32"
    " WMaxLimPctEna:e16 WMaxLimPct:u16 WMaxLimPctRvrt:u16 WMaxLimPctEnaRvrt:e16"
    " WMaxLimPctRvrtTms:u32 WMaxLimPctRvrtRem:u32"
    " WSetEna:e16 WSetMod:e16 WSet:i32 WSetRvrt:i32 WSetPct:i16 WSetPctRvrt:i16 WSetEnaRvrt:e16"
    " WSetRvrtTms:u32 WSetRvrtRem:u32"
    " VarSetEna:e16 VarSetMod:e16 VarSetPri:e16 VarSet:i32 VarSetRvrt:i32 VarSetPct:i16 VarSetPctRvrt:i16"
    " VarSetEnaRvrt:e16 VarSetRvrtTms:u32 VarSetRvrtRem:u32"
    " WRmp:u16 WRmpRef:e16 VarRmp:u16 AntiIslEna:e16"
    " PF_SF:sf WMaxLimPct_SF:sf WSet_SF:sf WSetPct_SF:sf VarSet_SF:sf VarSetPct_SF:sf"
    " PFWInj.PF:u16 PFWInj.Ext:e16 PFWInjRvrt.PF:u16 PFWInjRvrt.Ext:e16"
    " PFWAbs.PF:u16 PFWAbs.Ext:e16 PFWAbsRvrt.PF:u16 PFWAbsRvrt.Ext:e16",
    715: "LocRemCtl:e16 DERHb:u32 ControllerHb:u32 AlarmReset:u16 OpCtl:e16",
}


@dataclass(frozen=True)
class ModelPoint:
    """One quantity at an absolute address; ``kind`` is its SunSpec type, with the length in words for texts."""

    model: int
    name: str
    kind: str
    address: int

    @property
    def n_words(self) -> int:
        """Number of registers."""
        return int(self.kind[1:]) if self.is_text else struct.calcsize(_FORMATS[self.kind]) // 2

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return self.kind not in _FORMATS

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.n_words

    def encode(self, value: float | str | None) -> bytes:
        """The bytes of a raw value; None and values that the type cannot hold become "not implemented"."""
        if self.is_text:
            return str(value or "").encode().ljust(2 * self.n_words, b"\0")
        form, absent = _FORMATS[self.kind], _ABSENT.get(self.kind, 2 ** (16 * self.n_words) - 1)
        try:
            return struct.pack(form, round(value) if isinstance(value, int | float) and isfinite(value) else absent)
        except struct.error:
            return struct.pack(form, absent)

    def decode(self, words: Sequence[int]) -> int:
        """The raw value of a number."""
        (raw,) = struct.unpack(_FORMATS[self.kind], struct.pack(f">{self.n_words}H", *words))
        return int(raw)


def _layout() -> Iterator[ModelPoint]:
    """All points in order, after the marker ``SunS``, then the end model."""
    address = BASE + 2
    for model, text in _POINTS.items():
        for item in f"ID:u16 L:u16 {text}".split():
            name, kind = item.split(":")
            yield ModelPoint(model, name, kind, address)
            address = ModelPoint(model, name, kind, address).end
    yield ModelPoint(END, "ID", "u16", address)
    yield ModelPoint(END, "L", "u16", address + 1)


LAYOUT = tuple(_layout())
MARK = b"SunS"
LENGTHS = {model: sum(p.n_words for p in LAYOUT if p.model == model) - 2 for model in _POINTS} | {END: 0}
"""Content of register L by model: its length in words without ID and L."""
