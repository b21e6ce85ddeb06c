"""Base of all sections of the configuration, and types of values with their units.

The ``description`` of a type or key is what the user reads after "allowed:".
"""

import re
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from unicodedata import normalize
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    WithJsonSchema,
)

Stamps = Literal["auto", "begin", "end"]
Variant = Literal["forecast", "realised"]
T = TypeVar("T")


class Section(BaseModel):
    """A mapping of the configuration file: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _day(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _time_of_day(value: object) -> object:
    return datetime.strptime(value, "%H:%M").time() if isinstance(value, str) else value


def _hours_minutes(value: time) -> str:
    return f"{value:%H:%M}"


def _path_text(path: Path, info: SerializationInfo) -> str:
    """The path as text, below the ``folder`` of the serialisation's context if there is one."""
    return str(Path((info.context or {}).get("folder", "")) / path)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(name) from error
    return name


def composed(value: object) -> object:
    """Text in the composed form of Unicode, so that names that look alike are alike; any other value unchanged."""
    return normalize("NFC", value) if isinstance(value, str) else value


def lower_case(value: object) -> object:
    """Text in lower case; any other value unchanged."""
    return value.lower() if isinstance(value, str) else value


NOT_IN_NAMES = re.compile(r"[^\w.-]+")
"""What cannot be in a name."""
Name = Annotated[
    str,
    BeforeValidator(composed),
    Field(pattern=r"^[\w.-]{1,64}$", description="a name of at most 64 letters, digits, '_', '-' and '.', no spaces"),
]
Text = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=1000, description="a text")]
FilePath = Annotated[
    Path, Field(description="the path of a file, relative to this one"), PlainSerializer(_path_text, return_type=str)
]
RunFilePath = Annotated[Path, Field(description="the path of a file, relative to the run directory")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="a currency code of three letters such as CHF")]
TimeZone = Annotated[str, AfterValidator(_zone), Field(description="a time zone such as Europe/Zurich")]
Day = Annotated[
    date,
    BeforeValidator(_day),
    Field(strict=True, ge=date(1970, 1, 1), lt=date(2200, 1, 1), description="a date such as 2018-06-21"),
]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    Field(strict=True, description='a local time such as "23:00"'),
    PlainSerializer(_hours_minutes, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^([01]?\d|2[0-3]):[0-5]?\d$"}, mode="validation"),
]

Whole = Annotated[int, Field(strict=True)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000, description="a whole number ≥ 1")]
Minutes = Annotated[Whole, Field(ge=1, le=1440, description="a whole number of minutes, 1 to 1440")]
Port = Annotated[Whole, Field(ge=1, le=65535, description="a port, 1 to 65535")]
Unit = Annotated[Whole, Field(ge=0, le=255, description="a Modbus unit, 0 to 255")]

Number = Annotated[float, Field(strict=True, ge=-1e9, le=1e9, description="a number, at most 1e9 in size")]
NotNegative = Annotated[Number, Field(ge=0, description="a number ≥ 0")]
Positive = Annotated[Number, Field(gt=0, description="a number > 0")]
Share = Annotated[NotNegative, Field(le=1, description="a number from 0 to 1")]
PositiveShare = Annotated[Share, Field(gt=0, description="a number > 0, at most 1")]
VoltagePu = Annotated[Number, Field(ge=0.5, le=1.5, description="a voltage from 0.5 to 1.5 p.u.")]
Kva = Annotated[Positive, Field(description="a number > 0 kVA")]
Seconds = Annotated[Positive, Field(description="a number > 0 s")]


class Document(Section):
    """The whole of a file."""

    schema_version: Annotated[Whole, Field(ge=1, le=1, description="1")]
    name: Name

    def document(self, folder: Path | None = None) -> dict[str, Any]:
        """The content of a file for this configuration: only the given keys, as JSON types.

        Args:
            folder: base of relative paths; the document then has absolute ones, and is valid in any file.
        """
        context = None if folder is None else {"folder": folder.absolute()}
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, context=context)


class Constant(Section):
    """A series of one value."""

    constant: Number


class Filling(StrEnum):
    """What holds where a file of series has no value."""

    HOLD = "hold"  # the value before
    ZERO = "zero"


class DayFile(Section):
    """A CSV file of series.

    ``date`` selects that day of the file in place of the horizon's; ``{date}`` in the file's name stands for the day.
    """

    file: FilePath
    date: Day | None = None
    stamps: Annotated[
        Stamps, Field(description="begin, end or auto: whether a time is the begin or the end of its interval")
    ] = "auto"
    gaps: Annotated[Filling, Field(description="hold or zero: what holds where the file has no value")] | None = None

    def on(self, day: Day) -> Path:
        """The path of the file for the horizon's ``day``."""
        return Path(str(self.file).replace("{date}", (self.date or day).isoformat()))


class SeriesFile(DayFile):
    """One column of a file: offset + scale × value."""

    column: Text
    scale: Number = 1.0
    offset: Number = 0.0


Series = Annotated[
    SeriesFile | Constant | Number,
    Field(description="a number, or a section {file, column, scale, offset, date, stamps, gaps}"),
]


class LoadFile(DayFile):
    """Columns of active and reactive power, each times ``scale``; without ``q`` reactive power is zero.

    ``net``: ``p`` is load minus generation, as a meter shows it, and may be negative.
    """

    p: Text
    q: Text | None = None
    scale: Number = 1.0
    net: Annotated[bool, Field(strict=True, description="true or false")] = False

    @property
    def active_kw(self) -> SeriesFile:
        """Active power, column ``p``."""
        return self._series(self.p)

    @property
    def reactive_kvar(self) -> SeriesFile | float:
        """Reactive power, column ``q``, or zero."""
        if self.q is None:
            return 0.0
        return self._series(self.q)

    def _series(self, column: str) -> SeriesFile:
        of_file = {name: getattr(self, name) for name in DayFile.model_fields}
        return SeriesFile(column=column, scale=self.scale, **of_file)


class Expected(Section, Generic[T]):
    """A forecast and what is realised; without the latter the forecast serves as both."""

    forecast: T
    realised: T | None = None

    def of(self, variant: Variant) -> T:
        """The value of a variant."""
        return self.forecast if variant == "forecast" or self.realised is None else self.realised
