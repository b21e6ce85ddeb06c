"""Holding registers of a simulated device as a Modbus client sees them: 16-bit words at addresses. Uses no socket."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Protocol

from core.errors import GridlabError
from drivers.registers import Register, RegisterMap, RegisterRangeError
from sim_plant.converter import Refusal
from sim_plant.faults import DeviceFault, Faults, Values
from sim_plant.stations import SETPOINT, ConverterStation, MeterStation

_NAN_WORDS = (0x7FC0, 0)


class Rejection(IntEnum):
    """Exception codes of the Modbus application protocol."""

    ADDRESS = 2
    VALUE = 3
    STATE = 4


class Bank(Protocol):
    """The holding registers of one device, from ``address`` on."""

    address: int
    n_words: int

    def read(self, address: int, count: int) -> list[int] | Rejection:
        """``count`` words from ``address`` on."""
        ...

    def write(self, address: int, words: Sequence[int]) -> Rejection | None:
        """Apply all words of one request or none of them."""
        ...


class MapError(GridlabError):
    """A register map names a value that the simulated device does not have."""


class MapBank:
    """The registers of a device as its register map defines them.

    Addresses between registers are illegal. A read may cover part of a register; a write must cover whole registers.
    """

    def __init__(self, registers: RegisterMap, station: ConverterStation | MeterStation) -> None:
        self._station = station
        self._registers = sorted(registers.registers, key=lambda register: register.address)
        self.address = self._registers[0].address
        self.n_words = self._registers[-1].end - self.address
        _check_names(registers, station)

    def read(self, address: int, count: int) -> list[int] | Rejection:
        """``count`` words from ``address`` on; ADDRESS if one of them belongs to no register."""
        values, faults = self._station.values(), self._station.instrument.faults
        found = {
            register.address + k: word
            for register in self._touched(address, count)
            for k, word in enumerate(_words(register, values, faults))
        }
        wanted = range(address, address + count)
        return [found[a] for a in wanted] if found.keys() >= set(wanted) else Rejection.ADDRESS

    def write(self, address: int, words: Sequence[int]) -> Rejection | None:
        """Write whole, writable registers; the station decides about the values."""
        station, touched = self._station, self._touched(address, len(words))
        whole = sum(r.n_words for r in touched) == len(words) and touched[0].address == address
        if not (whole and all(r.writable for r in touched) and isinstance(station, ConverterStation)):
            return Rejection.ADDRESS
        values = {r.name: r.decode(words[r.address - address : r.end - address]) for r in touched}
        return exception_code(station.write(values, in_range=all(_in_range(r, values[r.name]) for r in touched)))

    def _touched(self, address: int, count: int) -> list[Register]:
        return [r for r in self._registers if r.address < address + count and address < r.end]


def exception_code(refusal: Refusal | None) -> Rejection | None:
    """The Modbus exception code for a refusal of the station; None if it accepted the values."""
    if refusal is None:
        return None
    return Rejection.STATE if refusal is Refusal.STATE else Rejection.VALUE


def byte_swapped(words: Iterable[int]) -> list[int]:
    """The words with their two bytes exchanged."""
    return [(word >> 8) | (word & 0xFF) << 8 for word in words]


def _in_range(register: Register, value: float | None) -> bool:
    low, high = register.allowed
    return value is not None and low <= value <= high


def _words(register: Register, values: Values, faults: Faults) -> Sequence[int]:
    """The words that the register shows. A value that it cannot hold is shown as its "not available" word, or as 0 if
    it has none.
    """
    value = values[register.name]
    if value is not None and value != value and register.type == "float32":
        return _NAN_WORDS if register.word_order == "big" else _NAN_WORDS[::-1]
    try:
        words: Sequence[int] = register.encode(value)
    except RegisterRangeError:
        words = register.sentinel_words or (0,) * register.n_words
    return byte_swapped(words) if DeviceFault.BYTE_SWAP in faults else words


def _check_names(registers: RegisterMap, station: ConverterStation | MeterStation) -> None:
    known = station.values()
    if unknown := [r.name for r in registers.registers if r.name not in known]:
        raise MapError(f"{station.name}: register {', '.join(unknown)}, allowed {', '.join(known)}")
    commandable = SETPOINT if isinstance(station, ConverterStation) else ()
    allowed = ", ".join(commandable) or "none"
    if not_commandable := [r.name for r in registers.registers if r.writable and r.name not in commandable]:
        raise MapError(f"{station.name}: rw register {', '.join(not_commandable)}, allowed {allowed}")
