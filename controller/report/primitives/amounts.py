"""Number formats: true minus signs, powers of ten, no negative zero."""

SMALL = 1e-4
NOTHING = 1e-6
UNKNOWN = "–"
NOT_MEASURED = "not measured"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DECIMALS = {"p.u.": 4, "kW": 2, "kvar": 2, "A": 1}
"""Decimals of a value that is shown with its limit, by unit."""
SLACK = {"p_kw": ("upper grid, active power", "kW"), "q_kvar": ("upper grid, reactive power", "kvar")}
"""Name and unit of the quantities at the upper grid."""


def number(value: float, digits: int = 3) -> str:
    """A number with a fixed number of decimals."""
    text = f"{value:.{digits}f}"
    return _minus(text.removeprefix("-") if float(text) == 0 else text)


def signed(value: float, digits: int = 4) -> str:
    """A number with its sign, unless it is zero."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and float(text) != 0 else text


def significant(value: float, digits: int = 4) -> str:
    """A number with as few decimals as ``digits`` significant digits need."""
    return _minus(f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}")


def magnitude(value: float) -> str:
    """Two significant digits; a power of ten below 0.0001."""
    if value == 0 or abs(value) >= SMALL:
        return significant(value, 2)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{_minus(mantissa)} × {power_of_ten(int(exponent))}"


def percent(share: float) -> str:
    """A share in per cent with two significant digits, "< 0.0001 %" if it is negligible."""
    if 0 < abs(share) < NOTHING:
        return "< 0.0001 %"
    return f"{significant(100 * share, 2)} %"


def power_of_ten(exponent: int) -> str:
    """−3 → 10⁻³."""
    return "10" + str(exponent).translate(SUPERSCRIPT)


def _minus(text: str) -> str:
    return text.replace("-", "−")
