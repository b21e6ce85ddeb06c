"""The machine: whatever can happen to a laboratory, in any order.

An operation of the :class:`~tests.state_machine.conductor.Conductor` checks the invariants; a rule is one or several of
them. At the end everything heals, and the laboratory has to be back at work.
"""

from collections.abc import Mapping
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from controller.process.modes import Mode
from core.devices import Outcome
from core.errors import GridlabError
from realtime.fallback import Rung
from realtime.timing import LEASE_S
from tests.state_machine.conductor import Conductor, Shared
from tests.state_machine.ledger import CONVERTERS, FOREIGN, Fault
from tests.state_machine.world import POLL_S, RATED_KVA, Doing, audit_bytes

ROUNDS = 3
"""Of a recovery, where the machine that tests is too busy for the deadlines of requests."""
RECOVERY_CYCLES = 4
"""Hold-off of a doubt, and three readings."""
HOUR_S = 3600.0
CHEAP = (
    *("down", "cut", "frozen", "local", "reboot", "trip", "ignore_writes", "stuck", "derated", "sentinel", "nan"),
    *("inverted_sign", "late_write"),
)
COSTLY = ("black_hole", "garbage")
"""Each of their requests takes real time, so they last for no longer than until all are safe: :data:`COSTLY_S`."""
COSTLY_S = 120.0
SUDDEN = ("down", "cut", "frozen", "local", "reboot", "trip", "ignore_writes", "stuck", "nan", "inverted_sign")
METER_FAULTS = ("down", "frozen", "sentinel", "inverted_sign")
METERS = ("n3_meter", "n4_meter", "n5_meter")

ORDERS: Mapping[str, tuple[Mode, Doing]] = {
    "emergency stop": (Mode.MONITOR, lambda service: service.emergency_stop("operator")),
    "monitor": (Mode.MONITOR, lambda service: service.set_mode(Mode.MONITOR)),
    "off": (Mode.OFF, lambda service: service.set_mode(Mode.OFF)),
    "SIGTERM": (Mode.MONITOR, lambda service: service.close()),
}
"""What lowers the mode, and to which."""

converters = st.sampled_from(tuple(CONVERTERS))
converter_faults = st.builds(Fault, st.sampled_from(CHEAP), converters)
meter_faults = st.builds(Fault, st.sampled_from(METER_FAULTS), st.sampled_from(METERS))
sudden_faults = st.builds(Fault, st.sampled_from(SUDDEN), converters)
cycles_then = st.integers(0, 4)
powers = st.floats(-12.0, 12.0, allow_nan=False)
lives = precondition(lambda self: self.world.service is not None)
is_dead = precondition(lambda self: self.world.service is None)


class Laboratory(RuleBasedStateMachine):
    """See the module. ``shared`` is set by whoever runs it."""

    shared: ClassVar[Shared]

    def __init__(self) -> None:
        super().__init__()
        self.conductor = Conductor(self.shared)
        self.world, self.ledger = self.conductor.world, self.conductor.ledger
        self._wrong_s, self._costly = 0.0, 0

    @initialize()
    def begin(self) -> None:
        """An operator has let the service control; everything follows its plan."""
        self.restart()
        self.set_mode(Mode.ACTIVE)
        self.tick(cycles=2, polled=True)

    @rule(cycles=st.integers(1, 4), polled=st.booleans())
    def tick(self, cycles: int, polled: bool) -> None:
        """Cycles come due; between them devices are polled or not."""
        for _ in range(cycles):
            self.conductor.pass_to(self.conductor.next_cycle_s, polled=polled)
            self.relieve()
            if self.world.service:
                self.conductor.cycle()
            self.conductor.guard()

    @rule(cycles=st.integers(1, 4), polled=st.booleans())
    def attend(self, cycles: int, polled: bool) -> None:
        """An operator looks after the service, and lets it control again."""
        if self.world.service is None:
            self.restart()
        if self.world.service and self.world.mode is not Mode.ACTIVE:
            self.set_mode(Mode.ACTIVE)
        self.tick(cycles, polled)

    @rule(seconds=st.integers(1, 29))
    def wait(self, seconds: int) -> None:
        """Time goes on, less than to the next cycle, with a poll at the end."""
        end_s = min(self.world.at_s + seconds, self.conductor.next_cycle_s - 1)
        if end_s > self.world.at_s:
            self.conductor.pass_to(end_s, polled=False)
            self.conductor.poll()

    @rule(fault=converter_faults, cycles=cycles_then, polled=st.booleans())
    def fault(self, fault: Fault, cycles: int, polled: bool) -> None:
        """Something breaks."""
        self.conductor.begin(fault)
        self.tick(cycles, polled)

    @rule(fault=meter_faults, cycles=st.integers(1, 4), polled=st.booleans())
    def meter_fault(self, fault: Fault, cycles: int, polled: bool) -> None:
        """A meter says nothing, or nothing true."""
        self.fault(fault, cycles, polled)

    @rule(name=st.sampled_from(FOREIGN), device=converters, cycles=st.integers(1, 4), polled=st.booleans())
    def intrude(self, name: str, device: str, cycles: int, polled: bool) -> None:
        """The service controls, and somebody else commands a converter too."""
        self.attend(cycles=1, polled=polled)
        self.fault(Fault(name, device), cycles, polled)

    @precondition(lambda self: self._costly < 1)
    @rule(name=st.sampled_from(COSTLY), device=converters)
    def costly_fault(self, name: str, device: str) -> None:
        """Something breaks that takes real time."""
        self._costly += 1
        self.conductor.begin(Fault(name, device))

    def relieve(self) -> None:
        """End what takes real time, after it has shown all that it does."""
        for fault, began_s in list(self.ledger.faults.items()):
            if fault.name in COSTLY and self.world.at_s - began_s >= COSTLY_S:
                self.conductor.end(fault)

    @lives
    @rule(fault=sudden_faults, at_frame=st.integers(1, 4))
    def strike(self, fault: Fault, at_frame: int) -> None:
        """Something breaks in the midst of a cycle, with the n-th frame of it."""
        if fault not in self.ledger.faults:
            self.world.strike(at_frame, fault.name, fault.device)
            self.conductor.expect(fault, self.conductor.next_cycle_s)
            self.ledger.shaken(self.conductor.next_cycle_s)
            self.tick(cycles=1, polled=False)
            self.conductor.operate(self.world.struck())

    @precondition(lambda self: self.ledger.faults)
    @rule(number=st.integers(0, 9), cycles=cycles_then, polled=st.booleans())
    def heal(self, number: int, cycles: int, polled: bool) -> None:
        """One fault ends."""
        faults = list(self.ledger.faults)
        self.conductor.end(faults[number % len(faults)])
        self.tick(cycles, polled)

    @lives
    @rule(at_frame=st.one_of(st.none(), st.integers(0, 4)), then_s=st.integers(0, 120))
    def kill(self, at_frame: int | None, then_s: int) -> None:
        """SIGKILL, perhaps in mid-cycle; then nobody is there for a while."""
        if at_frame is not None:
            self.conductor.pass_to(self.conductor.next_cycle_s, polled=False)
            self.conductor.attended()
        self.conductor.operate(self.world.kill(at_frame))
        self.conductor.pass_to(self.world.at_s + then_s, polled=False)

    @lives
    @rule(order=st.sampled_from(tuple(ORDERS)), at_frame=st.integers(0, 3), then_s=st.integers(0, 60))
    def die_of_a_stop(self, order: str, at_frame: int, then_s: int) -> None:
        """An order to stop, and SIGKILL while it is carried out; then a new process."""
        mode, doing = ORDERS[order]
        self.conductor.reached["die_of_a_stop"] += 1
        if order == "monitor" and self.ledger.commanded is Mode.OFF:
            self.ledger.commanded = mode
        elif at_frame:  # else it may have died before it had heard the order
            self.conductor.lowered(mode)
        self.conductor.operate(self.world.kill(at_frame, doing), changes_mode=True)
        self.conductor.pass_to(self.world.at_s + then_s, polled=False)
        self.restart()

    @lives
    @rule()
    def stop(self) -> None:
        """SIGTERM: every converter that can be reached is safe then."""
        was = self.world.mode
        self.conductor.lowered(Mode.MONITOR)
        self.conductor.operate(self.world.stop(), changes_mode=True)
        self.conductor.all_safe(was)

    @is_dead
    @rule()
    def restart(self) -> None:
        """The process begins anew, as it thinks right."""
        self.conductor.start()

    @is_dead
    @rule(turns=st.integers(1, 400))
    def stop_the_start(self, turns: int) -> None:
        """SIGTERM while the process begins: what follows a setpoint of its predecessor is released."""
        self.ledger.born()
        began = self.conductor.operate(self.world.start_and_stop(turns), changes_mode=True)
        if began:
            self.conductor.lowered(Mode.MONITOR)
            self.conductor.all_safe(Mode.ACTIVE)

    @precondition(lambda self: self.world.lock is None)
    @rule(cycles=st.integers(0, 3))
    def lock_journal(self, cycles: int) -> None:
        """Another process holds the journal locked."""
        self.conductor.reached["lock_journal"] += 1
        self.world.lock_journal()
        self.tick(cycles, polled=False)

    @precondition(lambda self: self.world.lock is not None)
    @rule()
    def unlock_journal(self) -> None:
        """It is over."""
        self.world.unlock_journal()

    @lives
    @rule(seconds=st.integers(20, 150))
    def hang(self, seconds: int) -> None:
        """SIGSTOP, later SIGCONT: connections stay."""
        self.conductor.reached["hang"] += 1
        self.conductor.pass_to(self.world.at_s + seconds, polled=False)
        self.ledger.shaken(self.world.at_s)

    @lives
    @rule(within_cycle=st.booleans())
    def replan(self, within_cycle: bool) -> None:
        """An MPC run; it may take effect after a cycle."""
        service = self.world.service
        assert service
        done = self.conductor.operate(service.replan())
        if within_cycle:
            self.tick(cycles=1, polled=False)
        with self.world.disk():
            self.conductor.operate(self.world.adopt(done))

    @rule(back=st.booleans())
    def jump(self, back: bool) -> None:
        """The wall clock goes wrong by an hour, or is put right."""
        seconds = -HOUR_S if back else HOUR_S
        if abs(self._wrong_s + seconds) <= HOUR_S:
            self.conductor.reached["jump"] += 1
            self._wrong_s += seconds
            self.world.clock.jump(seconds)

    @precondition(lambda self: self.world.disk_bytes is None)
    @rule(left=st.integers(0, 600), cycles=st.integers(2, 4))
    def fill_disk(self, left: int, cycles: int) -> None:
        """No file may grow beyond the length of the audit trail and a few bytes."""
        self.conductor.reached["fill_disk"] += 1
        self.world.disk_bytes = audit_bytes(self.world) + left
        self.ledger.shaken(self.world.at_s)
        self.tick(cycles, polled=False)

    @precondition(lambda self: self.world.disk_bytes is not None)
    @rule()
    def free_disk(self) -> None:
        """There is room again."""
        self.world.disk_bytes = None
        self.ledger.shaken(self.world.at_s)

    @lives
    @rule(mode=st.sampled_from((Mode.ACTIVE, Mode.ACTIVE, Mode.MONITOR, Mode.OFF)))
    def set_mode(self, mode: Mode) -> None:
        """An operator's command; ACTIVE needs a record of it, and a guardian whose sign of life can be written."""
        service, was = self.world.service, self.world.mode
        assert service
        commanded = self.ledger.commanded
        self.ledger.commanded = mode
        try:
            with self.world.disk():
                outcomes = self.conductor.operate(service.set_mode(mode, within_s=0.0), changes_mode=True)
        except GridlabError:
            assert self.world.unrecordable
            assert self.world.mode is was
            self.ledger.commanded = commanded
            return
        assert self.world.mode is mode
        if mode is not Mode.ACTIVE:
            self.conductor.all_safe(was)
            for name, outcome in outcomes.items():
                assert outcome is not Outcome.VERIFIED or not self.conductor.commanded(name), f"7: {name}"

    @lives
    @rule(device=converters, p_kw=powers, q_kvar=powers, for_s=st.sampled_from((0, 60, 600, 3600)), cycles=cycles_then)
    def override(self, device: str, p_kw: float, q_kvar: float, for_s: int, cycles: int) -> None:
        """An operator wants a converter elsewhere."""
        service = self.world.service
        assert service
        try:
            with self.world.disk():
                self.conductor.operate(service.override("operator", device, p_kw, q_kvar, for_s))
        except GridlabError:
            beyond = abs(complex(p_kw, q_kvar)) > RATED_KVA
            assert beyond or self.world.mode is not Mode.ACTIVE or self.world.unrecordable
        self.tick(cycles, polled=False)

    @precondition(lambda self: self.world.mode is Mode.ACTIVE)
    @rule()
    def emergency_stop(self) -> None:
        """Somebody hits the button."""
        service = self.world.service
        assert service
        self.conductor.lowered(Mode.MONITOR)
        with self.world.disk():
            self.conductor.operate(service.emergency_stop("operator"), changes_mode=True)
        assert self.world.mode is Mode.MONITOR
        self.conductor.all_safe(Mode.ACTIVE)

    def teardown(self) -> None:
        """After everything has healed, an operator's command brings all back to their plans."""
        try:
            if self.conductor.sound:
                self.recover()
        finally:
            self.conductor.close()

    def recover(self) -> None:
        """See :meth:`teardown`."""
        for fault in list(self.ledger.faults):
            self.conductor.end(fault)
        self.free_disk()
        self.world.unlock_journal()
        self.world.clock.jump(-self._wrong_s)
        self.conductor.pass_to(self.world.at_s + POLL_S, polled=True)
        if self.world.service is None:
            self.restart()
        self.conductor.pass_to(self.world.at_s + LEASE_S, polled=True)  # setpoints of others expire
        self.tick(cycles=2, polled=True)  # a service that was overtaken yields, perhaps a cycle later
        self.set_mode(Mode.ACTIVE)
        for _ in range(ROUNDS):
            began_s = self.world.at_s
            self.tick(cycles=RECOVERY_CYCLES, polled=True)
            if self.ledger.shaken_s < began_s:
                break
        assert self.world.mode is Mode.ACTIVE
        assert set(self.ledger.rungs.values()) == {Rung.USE}, f"not back: {self.ledger.rungs}"
        assert all(map(self.conductor.commanded, CONVERTERS)), "not back: released"
