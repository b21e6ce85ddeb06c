"""What link faults make of messages, without any socket."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_plant.faults import FaultError
from sim_plant.link_faults import MODBUS, OPCUA, LinkEnding, LinkFault, Piece, pieces
from sim_plant.links import Link
from tests.support.plant_benches import mbap

READ = mbap(1, bytes((3, 0, 0, 0, 2)))
WRITE = mbap(1, bytes((16, 0, 0, 0, 1, 2, 0, 75)))
ANSWER = mbap(1, bytes((3, 4, 0x40, 0x40, 0, 0)))
WRITE_REQUEST = b"MSGF" + (30).to_bytes(4, "little") + bytes(16) + bytes((1, 0, 0xA1, 2, 0, 0))


def link(seed: int = 0) -> Link:
    return Link(MODBUS, {"a": 1, "b": 2}, seed)


def on(fault: LinkFault, device: str = "a", number: float | None = None, seed: int = 0) -> Link:
    broken = link(seed)
    broken.switch(fault, device, on=True, number=number)
    return broken


def sent(broken: Link, answer: bytes) -> bytes:
    return b"".join(piece.data for piece in broken.answer_pieces(answer))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 300), max_size=12))
def test_messages_are_found_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    for framing, messages in (
        (MODBUS, [mbap(7, body) for body in bodies]),
        (OPCUA, [b"MSGF" + (8 + len(body)).to_bytes(4, "little") + body for body in bodies]),
    ):
        stream, buffer, found = b"".join(messages), bytearray(), []
        for begin, end in pairwise(sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})):
            buffer += stream[begin:end]
            found += framing.whole_messages(buffer)
        assert (found, buffer) == (messages, b"")


def test_a_length_that_cannot_be_true_takes_everything() -> None:
    buffer = bytearray(b"MSGF\0\0\0\0 and more")
    assert list(OPCUA.whole_messages(buffer)) == [b"MSGF\0\0\0\0 and more"]
    assert not buffer


def test_what_is_a_write() -> None:
    assert [MODBUS.writes(request) for request in (READ, WRITE, mbap(1, bytes((6, 0, 0, 0, 1))))] == [False, True, True]
    assert OPCUA.writes(WRITE_REQUEST)
    assert not OPCUA.writes(WRITE_REQUEST.replace(b"\xa1", b"\x77"))


def test_a_fault_concerns_the_unit_of_its_device() -> None:
    silent = on(LinkFault.SILENT)
    assert silent.request_fault(READ) == (LinkFault.SILENT, 0.0)
    assert silent.request_fault(mbap(2, READ[7:])) == (None, 0.0)
    silent.switch(LinkFault.SILENT, "b", on=True, number=None)
    silent.switch(LinkFault.SILENT, "a", on=False, number=None)
    assert silent.request_fault(mbap(2, READ[7:])) == (LinkFault.SILENT, 0.0), "that of another device is its own"


def test_at_an_opcua_address_it_concerns_all() -> None:
    shared = Link(OPCUA, {"n7": None, "n9": None}, 0)
    shared.switch(LinkFault.LATE_WRITE, "n7", on=True, number=5.0)
    assert shared.request_fault(WRITE_REQUEST) == (LinkFault.LATE_WRITE, 5.0)
    with pytest.raises(FaultError, match="n7: asked fault fewer, allowed for Modbus"):
        shared.switch(LinkFault.FEWER, "n7", on=True, number=None)


def test_only_writes_are_late() -> None:
    late = on(LinkFault.LATE_WRITE)
    assert late.request_fault(WRITE) == (LinkFault.LATE_WRITE, 2.0)
    assert late.request_fault(READ) == (None, 0.0)


def test_late_and_replayed_answers_keep_their_transaction() -> None:
    answers = [mbap(1, bytes((3, 2, 0, k)), transaction=k) for k in range(4)]
    late = on(LinkFault.LATE)
    assert [sent(late, answer) for answer in answers] == [b"", *answers[:3]]
    assert sent(late, mbap(2, b"\x03\x02\0\0")) == mbap(2, b"\x03\x02\0\0"), "another unit"
    replayed = on(LinkFault.REPLAY)
    assert [sent(replayed, answer) for answer in answers] == [answers[0], *(answers[0] + a for a in answers[1:])]


def test_an_answer_with_fewer_registers_is_well_formed() -> None:
    assert sent(on(LinkFault.FEWER), ANSWER) == mbap(1, bytes((3, 2, 0x40, 0x40)))
    refusal = mbap(1, b"\x83\x02")
    assert sent(on(LinkFault.FEWER), refusal) == refusal


@pytest.mark.parametrize(("fault", "ending"), [("short", None), ("cut", LinkEnding.CLOSE), ("reset", LinkEnding.RESET)])
def test_half_answers(fault: str, ending: LinkEnding | None) -> None:
    assert on(LinkFault(fault)).answer_pieces(ANSWER) == [Piece(ANSWER[:6], ending=ending)]


def test_slow_and_sliced() -> None:
    assert on(LinkFault.SLOW, number=0.3).answer_pieces(ANSWER) == [Piece(ANSWER, pause_s=0.3)]
    slices = on(LinkFault.SLICED).answer_pieces(ANSWER)
    assert (len(slices), b"".join(piece.data for piece in slices)) == (len(ANSWER), ANSWER)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 3000), st.integers())
def test_bits_are_flipped_by_a_seed(answer: bytes, n_bits: int, seed: int) -> None:
    (piece,) = pieces(LinkFault.CORRUPT, n_bits, answer, Random(seed))
    flipped = int.from_bytes(answer, "big") ^ int.from_bytes(piece.data, "big")
    assert (len(piece.data), flipped.bit_count()) == (len(answer), min(n_bits, 8 * len(answer)))
    assert list(pieces(LinkFault.CORRUPT, n_bits, answer, Random(seed))) == [piece]


@pytest.mark.parametrize("fault", [LinkFault.CORRUPT, LinkFault.GARBAGE])
def test_garbage_is_repeated_by_the_seed_alone(fault: LinkFault) -> None:
    first, again, other = ([sent(link, ANSWER) for _ in range(3)] for link in (on(fault), on(fault), on(fault, seed=1)))
    assert first == again
    assert first != other
    assert len({*first, ANSWER}) == 4


@pytest.mark.parametrize(
    ("fault", "number", "allowed"),
    [("down", 1.0, "no number"), ("slow", 0.0, "a number > 0"), ("slow", float("nan"), "a number > 0")],
)
def test_numbers_that_a_fault_cannot_have(fault: str, number: float, allowed: str) -> None:
    broken = link()
    with pytest.raises(FaultError, match=f"a: asked fault {fault} with {number}, allowed {allowed}"):
        broken.switch(LinkFault(fault), "a", on=True, number=number)
    assert broken.fault_free
