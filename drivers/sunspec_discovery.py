"""Discovery of a SunSpec device's models, and the register map made of them."""

from drivers.exchange import BadAnswerError
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import Register, RegisterMap
from drivers.sunspec_points import BASE_ADDRESS, END_MODEL, MARK, MODELS, POINTS, SENTINELS, SunspecPoint

MAX_MODELS = 64
SCALES = range(-10, 10)
"""Exponents of a scale factor that are accepted; SunSpec also allows 10, but no quantity here has such units."""
_NEEDED = frozenset({"p_kw", "q_kvar", "p_setpoint_kw", "q_setpoint_kvar"})
BRIDGED_WORDS = 12
"""Words without a name that a request may cover: a SunSpec device lets any part of a model be read."""
_ID_WORDS = 2
"""A model's ID and its length, which does not include them."""


def _shortest(model: int) -> int:
    """The smallest length that contains the points and scale factors in use."""
    ends = (max(p.offset + int(p.type[-2:]) // 16, (p.sf_offset or 0) + 1) for p in POINTS if p.model == model)
    return max(ends, default=_ID_WORDS) - _ID_WORDS


async def discover(link: ModbusLink, unit: int) -> ModbusUnit:
    """The unit with a map of its points.

    Raises:
        ExchangeError: no answer, no SunSpec device, or one without the required models.
    """
    models = await _models(link, unit)
    if missing := [model for model in MODELS if model not in models]:
        raise BadAnswerError(f"{link.address}: unit {unit}: no SunSpec models {missing} among {sorted(models)}")
    exponents = {model: await _exponents(link, unit, model, models[model]) for model in MODELS}
    known = [point for point in POINTS if point.sf_offset in exponents[point.model]]
    if unscaled := _NEEDED.difference(point.name for point in known):
        raise BadAnswerError(f"{link.address}: unit {unit}: no SunSpec scale factor of {sorted(unscaled)}")
    registers = tuple(_register(point, models[point.model], exponents[point.model]) for point in known)
    return ModbusUnit(link, unit, RegisterMap(schema_version=1, name="sunspec", registers=registers), BRIDGED_WORDS)


async def _models(link: ModbusLink, unit: int) -> dict[int, int]:
    """Model → address of its ID; the first of several instances."""
    if await link.read(unit, BASE_ADDRESS, len(MARK)) != MARK:
        raise BadAnswerError(f"{link.address}: unit {unit}: no SunSpec mark at {BASE_ADDRESS}")
    models: dict[int, int] = {}
    address = BASE_ADDRESS + len(MARK)
    for _ in range(MAX_MODELS):
        model, length = await link.read(unit, address, 2)
        if model == END_MODEL:
            return models
        if model in MODELS and model not in models and length < _shortest(model):
            allowed = f"allowed from {_shortest(model)} on"
            raise BadAnswerError(f"{link.address}: unit {unit}: SunSpec model {model} of {length} words, {allowed}")
        models.setdefault(model, address)
        address += _ID_WORDS + length
        if address > 65534:
            break
    raise BadAnswerError(f"{link.address}: unit {unit}: the list of SunSpec models does not end")


async def _exponents(link: ModbusLink, unit: int, model: int, base: int) -> dict[int | None, int]:
    """Offset of a scale factor → its value, if the device has it; the offset None means no scale factor."""
    exponents: dict[int | None, int] = {None: 0}
    offsets = sorted({p.sf_offset for p in POINTS if p.model == model and p.sf_offset is not None})
    if offsets:
        words = await link.read(unit, base + offsets[0], offsets[-1] - offsets[0] + 1)
        for offset in offsets:
            word = words[offset - offsets[0]]
            exponent = word - 2**16 if word >= 2**15 else word
            if exponent in SCALES:
                exponents[offset] = exponent
    return exponents


def _register(point: SunspecPoint, base: int, exponents: dict[int | None, int]) -> Register:
    return Register(
        name=point.name,
        address=base + point.offset,
        type=point.type,
        scale=point.factor * 10.0 ** exponents[point.sf_offset],
        unit=point.unit,
        access="rw" if point.writable else "r",
        sentinel=SENTINELS[point.type],
    )
