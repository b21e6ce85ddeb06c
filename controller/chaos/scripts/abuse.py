"""The HTTP API is abused beside the cycles: false names, replays, senseless orders, floods, connections that hang."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from controller.api.attempts import EVENT
from controller.api.endpoints import PREFIX
from controller.api.tokens import Role, token_of
from controller.chaos.forged_requests import ARM, HUGE, KINDS, MODE, OVERRIDE, ForgedRequests, bearer, order
from controller.chaos.intruder import CUT_OFF, Attempt, call, linger, meanwhile
from controller.chaos.script import Injected, TrialContext
from controller.chaos.scripts.devices import leaks
from controller.judge.case import MODE_NOTE, Kind
from controller.judge.cycles import COMMAND_NOTE
from controller.judge.histories import AUDIT
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote, read_audit
from core.errors import GridlabError

CLIENTS, FLOOD, FLOOD_S = 16, 500, 60.0
"""At a time; answers that a flood has to get, and the real time for them."""
FLOOD_CYCLES = 3
SILENT = 16
BATCH = 12
"""Requests between two steps; an operator may ask so often."""
JITTER_S = 1.0
"""Real time by which a cycle may context longer than undisturbed ones."""
STANDS_S = 1800.0
CHANGES = (MODE_NOTE, COMMAND_NOTE, "override", "emergency stop")
"""Events of the audit trail that tell of something that was done."""
_HALVES = (b"", b"POST /api/v1/stop HTTP/1.1\r\nHost: 127", b"GET ")
_ATTEMPT = re.compile(r"(?:^|; )((?:GET|POST|other method) \S+ by \w+: \d{3})([^;]*)")
_TIMES = re.compile(r" × (\d+)$")


async def abused(context: TrialContext) -> Injected:
    """27: every attempt is refused and on record, nothing changes, no cycle is late; in ACTIVE or in MONITOR."""
    faulted, kind = context.faulted, KINDS[context.seed % len(KINDS)]
    mode = Mode.MONITOR if context.seed % 2 else Mode.ACTIVE
    await context.warmed_up()
    abuse, before = Abuse.of(context), await context.resources()
    nonce = await abuse.prepare(mode)
    begins, stood, quiet_s = faulted.now, await abuse.standing(), list(faulted.cycles_s)
    await abuse.go_on(mode, kind, nonce)
    abuse.complain(jitter(quiet_s, faulted.cycles_s[len(quiet_s) :]))
    abuse.complain(moved(stood, await abuse.standing()))
    fault = context.fault(f"{kind}, {mode}", Kind.OTHER, begins)
    await abuse.give_back(mode)
    await context.aftermath()
    abuse.complain(leaks(before, await context.resources()))
    await faulted.stop()
    abuse.complain(unrecorded(abuse.seen, faulted.folder / AUDIT))
    return Injected(fault, tuple(abuse.complaints))


class RefusedError(GridlabError):
    """What may be asked was not granted."""


@dataclass(frozen=True)
class Standing:
    """What no abuse may change; ``changes`` are those on record so far."""

    mode: str
    plans: tuple[str | None, ...]
    overrides: Mapping[str, tuple[float, float]]
    changes: int


@dataclass(frozen=True)
class Abuse:
    """Of the service of a context.

    Attributes:
        seen: attempts that were answered, as the audit trail must have them.
        complaints: what should not have happened, each once.
    """

    context: TrialContext
    port: int
    forged: ForgedRequests
    seen: Counter[str] = field(default_factory=Counter)
    complaints: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, context: TrialContext) -> "Abuse":
        """With the tokens that the service has made."""
        port = context.faulted.led.port
        if port is None:
            raise GridlabError("controller: asked for its HTTP, but it serves none")
        tokens = {role: token_of(context.faulted.folder, role) for role in Role}
        return cls(context, port, ForgedRequests(context.random, tokens, tuple(context.site.converters)))

    def complain(self, texts: Sequence[str]) -> None:
        """Of what should not have happened."""
        self.complaints.update(dict.fromkeys(texts))

    async def prepare(self, mode: Mode) -> str:
        """Let an operator arm and confirm ACTIVE, then give an order that stands; the word of that confirmation."""
        faulted = self.context.faulted
        await faulted.be_seen()
        await self._granted(MODE, {"mode": Mode.MONITOR})
        nonce = await self._activate()
        if mode is Mode.ACTIVE:
            await faulted.until(faulted.now_s + faulted.job.period_s)
            await self._granted(OVERRIDE, self._override(1.0, STANDS_S))
        else:
            await self._granted(MODE, {"mode": mode})
        return nonce

    async def give_back(self, mode: Mode) -> None:
        """Let the operator end what :meth:`prepare` began: who may must still be heard."""
        await self.context.faulted.be_seen()
        try:
            if mode is Mode.ACTIVE:
                await self._granted(OVERRIDE, self._override(0.0, 0.0))
            else:
                await self._activate()
        except RefusedError as error:
            self.complain([str(error)])

    async def go_on(self, mode: Mode, kind: str, nonce: str) -> None:
        """Replay, flood and ask in vain, with connections that hang all the while."""
        await asyncio.gather(*map(self._tried, self.forged.replayed(nonce)))
        silent = (self._lingered(_HALVES[k % len(_HALVES)], drip=k % 2 == 1) for k in range(SILENT))
        async with meanwhile(*silent, *map(self._tried, self.forged.unfinished())):
            await self._flood(kind)
            forged = [*self.forged.unauthorised(), *self.forged.senseless(mode)]
            for k in range(0, len(forged), BATCH):
                async with meanwhile(*map(self._tried, forged[k : k + BATCH])):
                    await self.context.faulted.until(self.context.faulted.now_s + self.context.faulted.poll_s)

    async def standing(self) -> Standing:
        """Just now."""
        status, plan, devices = [await self._read(name, Role.VIEWER) for name in ("status", "plan", "devices")]
        plans = (status["plan_id"], plan["intraday"], plan["day_ahead"], plan["tomorrow"])
        overrides = {name: (o["p_kw"], o["q_kvar"]) for name, o in devices["overrides"].items()}
        notes = (n for n in read_audit(self.context.faulted.folder / AUDIT) if isinstance(n, AuditNote))
        return Standing(status["mode"], plans, overrides, sum(note.event in CHANGES for note in notes))

    async def _flood(self, kind: str) -> None:
        """Over some cycles, and until it has had many answers; who has a token of another kind is heard."""
        faulted, began_s, attempts = self.context.faulted, time.monotonic(), self.forged.flood(kind)
        over, before = asyncio.Event(), self.seen.total()

        async def client(first: int) -> None:
            for attempt in islice(cycle(attempts), first, None):
                if over.is_set():
                    return
                await self._tried(attempt, may_be_cut_off=True)

        async with meanwhile(*map(client, range(CLIENTS))):
            await faulted.until(faulted.now_s + FLOOD_CYCLES * faulted.job.period_s)
            await self._read("status", Role.OPERATOR if kind.startswith(Role.VIEWER) else Role.VIEWER)
            while self.seen.total() < before + FLOOD and time.monotonic() < began_s + FLOOD_S:
                await asyncio.sleep(0.05)
            over.set()
        if (answers := self.seen.total() - before) < FLOOD:
            self.complain([f"flood: {answers} answers in {FLOOD_S:g} s, allowed {FLOOD} or more"])

    async def _tried(self, attempt: Attempt, *, may_be_cut_off: bool = False) -> None:
        """It must be refused; a flood, or a body that is too long, may be cut off as well."""
        try:
            answer = await call(self.port, attempt)
        except TimeoutError:
            self.complain([f"{attempt.on_record(CUT_OFF)}, no answer"])
            return
        line = attempt.on_record(answer.status)
        if answer.status != CUT_OFF:
            self.seen[line] += 1
        spared = answer.status == CUT_OFF and (may_be_cut_off or len(attempt.body) >= HUGE)
        if not answer.refused and not spared:
            self.complain([f"{line}, allowed 4xx"])

    async def _lingered(self, begun: bytes, *, drip: bool) -> None:
        if not await linger(self.port, begun, drip=drip):
            self.complain([f"a connection that began with {begun!r} and went no further stayed open"])

    async def _activate(self) -> str:
        nonce: str = (await self._granted(ARM, {}))["nonce"]
        await self._granted(MODE, {"mode": Mode.ACTIVE, "nonce": nonce})
        return nonce

    def _override(self, p_kw: float, for_s: float) -> Mapping[str, Any]:
        return {"device": self.forged.converters[0], "p_kw": p_kw, "q_kvar": 0.0, "for_s": for_s}

    async def _granted(self, path: str, content: object) -> Mapping[str, Any]:
        return await self._done(order(path, content, bearer(self.forged.tokens[Role.OPERATOR])))

    async def _read(self, name: str, role: Role) -> Mapping[str, Any]:
        headers = bearer(self.forged.tokens[role])
        return await self._done(Attempt("GET", f"{PREFIX}/{name}", b"", headers, role))

    async def _done(self, attempt: Attempt) -> Mapping[str, Any]:
        """What may be asked.

        Raises:
            RefusedError: it was not granted.
        """
        answer = await call(self.port, attempt)
        if answer.status != 200:
            raise RefusedError(f"{attempt.on_record(answer.status)}, allowed 200")
        if attempt.method == "POST":
            self.seen[attempt.on_record(answer.status)] += 1
        told: Mapping[str, Any] = json.loads(answer.text)
        return told


def jitter(quiet_s: Sequence[float], beside_s: Sequence[float]) -> Sequence[str]:
    """Whether cycles took longer beside the abuse, in real time."""
    longer_s = max(beside_s) - median(quiet_s)
    return [f"a cycle took {longer_s:.2f} s longer, allowed {JITTER_S:g} s"] if longer_s > JITTER_S else []


def moved(before: Standing, after: Standing) -> Sequence[str]:
    """What is not what it was."""
    return [
        f"{name}: {was}, then {vars(after)[name]}" for name, was in vars(before).items() if was != vars(after)[name]
    ]


def unrecorded(seen: Counter[str], trail: Path) -> Sequence[str]:
    """Attempts that were answered but are not on record, or not so often."""
    recorded: Counter[str] = Counter()
    for note in read_audit(trail):
        if isinstance(note, AuditNote) and note.event == EVENT:
            for what, rest in _ATTEMPT.findall(note.detail):
                times = _TIMES.search(rest)
                recorded[what] += int(times[1]) if times else 1
    return [f"{what} × {count} not on record" for what, count in (seen - recorded).items()]
