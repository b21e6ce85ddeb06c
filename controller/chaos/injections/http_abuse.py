"""Abuse of the HTTP API during cycles: invalid tokens, replays, invalid orders, floods, unfinished connections."""

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
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.injections.devices import resource_leaks
from controller.chaos.invalid_requests import ARM, HUGE, KINDS, MODE, OVERRIDE, InvalidRequests, bearer, json_request
from controller.chaos.raw_http import CUT_OFF, HttpRequest, concurrently, leave_unfinished, send_request
from controller.judge.case import MODE_NOTE, Kind
from controller.judge.cycles import COMMAND_NOTE
from controller.judge.histories import AUDIT
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote, read_audit
from core.errors import GridlabError

CLIENTS, FLOOD, FLOOD_S = 16, 500, 60.0
"""Parallel clients; answers that a flood must get, and the real time for them (s)."""
FLOOD_CYCLES = 3
SILENT = 16
BATCH = 12
"""Requests between two steps; the rate limit allows an operator that many."""
JITTER_S = 1.0
"""Real time (s) by which a cycle may take longer than undisturbed ones."""
STANDS_S = 1800.0
CHANGES = (MODE_NOTE, COMMAND_NOTE, "override", "emergency stop")
"""Events of the audit trail that record an executed request."""
_HALVES = (b"", b"POST /api/v1/stop HTTP/1.1\r\nHost: 127", b"GET ")
_ATTEMPT = re.compile(r"(?:^|; )((?:GET|POST|other method) \S+ by \w+: \d{3})([^;]*)")
_TIMES = re.compile(r" × (\d+)$")


async def abuse_http(context: TrialContext) -> InjectionResult:
    """27: every invalid request is refused and recorded, nothing changes, no cycle is late; in ACTIVE or in MONITOR."""
    faulted, kind = context.faulted, KINDS[context.seed % len(KINDS)]
    mode = Mode.MONITOR if context.seed % 2 else Mode.ACTIVE
    await context.run_to_injection()
    abuse, before = HttpAbuse.of(context), await context.resources()
    nonce = await abuse.prepare(mode)
    begins, state_before, quiet_s = faulted.now, await abuse.service_state(), list(faulted.cycles_s)
    await abuse.send_invalid_requests(mode, kind, nonce)
    abuse.complain(jitter(quiet_s, faulted.cycles_s[len(quiet_s) :]))
    abuse.complain(changed(state_before, await abuse.service_state()))
    fault = context.fault(f"{kind}, {mode}", Kind.OTHER, begins)
    await abuse.restore(mode)
    await context.run_recovery()
    abuse.complain(resource_leaks(before, await context.resources()))
    await faulted.stop()
    abuse.complain(unrecorded(abuse.seen, faulted.folder / AUDIT))
    return InjectionResult(fault, tuple(abuse.complaints))


class NotGrantedError(GridlabError):
    """A valid request was not granted."""


@dataclass(frozen=True)
class WatchedState:
    """State that no abuse may change; ``changes`` counts the changes recorded so far."""

    mode: str
    plans: tuple[str | None, ...]
    overrides: Mapping[str, tuple[float, float]]
    changes: int


@dataclass(frozen=True)
class HttpAbuse:
    """Requests to the service of a trial.

    Attributes:
        seen: answered requests, as the audit trail must record them.
        complaints: what should not have happened, each once.
    """

    context: TrialContext
    port: int
    invalid: InvalidRequests
    seen: Counter[str] = field(default_factory=Counter)
    complaints: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, context: TrialContext) -> "HttpAbuse":
        """Prepare requests with the tokens that the service has created."""
        port = context.faulted.state.port
        if port is None:
            raise GridlabError("controller: no HTTP server")
        tokens = {role: token_of(context.faulted.folder, role) for role in Role}
        return cls(context, port, InvalidRequests(context.random, tokens, tuple(context.site.converters)))

    def complain(self, texts: Sequence[str]) -> None:
        """Add descriptions of what should not have happened."""
        self.complaints.update(dict.fromkeys(texts))

    async def prepare(self, mode: Mode) -> str:
        """Let an operator confirm ACTIVE and set an override, or return to MONITOR; returns the nonce of that
        confirmation.
        """
        faulted = self.context.faulted
        await faulted.poll_now()
        await self._operator_request(MODE, {"mode": Mode.MONITOR})
        nonce = await self._activate()
        if mode is Mode.ACTIVE:
            await faulted.run_until(faulted.now_s + faulted.job.period_s)
            await self._operator_request(OVERRIDE, self._override(1.0, STANDS_S))
        else:
            await self._operator_request(MODE, {"mode": mode})
        return nonce

    async def restore(self, mode: Mode) -> None:
        """Undo :meth:`prepare` as operator: authorised requests must still be granted."""
        await self.context.faulted.poll_now()
        try:
            if mode is Mode.ACTIVE:
                await self._operator_request(OVERRIDE, self._override(0.0, 0.0))
            else:
                await self._activate()
        except NotGrantedError as error:
            self.complain([str(error)])

    async def send_invalid_requests(self, mode: Mode, kind: str, nonce: str) -> None:
        """Send replayed, flooding and invalid requests while unfinished connections stay open."""
        await asyncio.gather(*map(self._expect_refusal, self.invalid.replayed(nonce)))
        silent = (self._expect_cut_off(_HALVES[k % len(_HALVES)], drip=k % 2 == 1) for k in range(SILENT))
        async with concurrently(*silent, *map(self._expect_refusal, self.invalid.unfinished())):
            await self._flood(kind)
            invalid = [*self.invalid.unauthorised(), *self.invalid.meaningless(mode)]
            for k in range(0, len(invalid), BATCH):
                async with concurrently(*map(self._expect_refusal, invalid[k : k + BATCH])):
                    await self.context.faulted.run_until(self.context.faulted.now_s + self.context.faulted.poll_s)

    async def service_state(self) -> WatchedState:
        """The current state of the service."""
        status, plan, devices = [await self._read(name, Role.VIEWER) for name in ("status", "plan", "devices")]
        plans = (status["plan_id"], plan["intraday"], plan["day_ahead"], plan["tomorrow"])
        overrides = {name: (o["p_kw"], o["q_kvar"]) for name, o in devices["overrides"].items()}
        notes = (n for n in read_audit(self.context.faulted.folder / AUDIT) if isinstance(n, AuditNote))
        return WatchedState(status["mode"], plans, overrides, sum(note.event in CHANGES for note in notes))

    async def _flood(self, kind: str) -> None:
        """Over some cycles, and until many answers were received; a token of another role is still served."""
        faulted, start_s, requests = self.context.faulted, time.monotonic(), self.invalid.flood(kind)
        stop, before = asyncio.Event(), self.seen.total()

        async def client(first: int) -> None:
            for request in islice(cycle(requests), first, None):
                if stop.is_set():
                    return
                await self._expect_refusal(request, may_be_cut_off=True)

        async with concurrently(*map(client, range(CLIENTS))):
            await faulted.run_until(faulted.now_s + FLOOD_CYCLES * faulted.job.period_s)
            await self._read("status", Role.OPERATOR if kind.startswith(Role.VIEWER) else Role.VIEWER)
            while self.seen.total() < before + FLOOD and time.monotonic() < start_s + FLOOD_S:
                await asyncio.sleep(0.05)
            stop.set()
        if (answers := self.seen.total() - before) < FLOOD:
            self.complain([f"flood: {answers} answers in {FLOOD_S:g} s, allowed {FLOOD} or more"])

    async def _expect_refusal(self, request: HttpRequest, *, may_be_cut_off: bool = False) -> None:
        """The request must be refused; a flood or too long a body may also be cut off."""
        try:
            answer = await send_request(self.port, request)
        except TimeoutError:
            self.complain([f"{request.audit_text(CUT_OFF)}, no answer"])
            return
        line = request.audit_text(answer.status)
        if answer.status != CUT_OFF:
            self.seen[line] += 1
        cut_off = answer.status == CUT_OFF and (may_be_cut_off or len(request.body) >= HUGE)
        if not answer.refused and not cut_off:
            self.complain([f"{line}, allowed 4xx"])

    async def _expect_cut_off(self, start: bytes, *, drip: bool) -> None:
        if not await leave_unfinished(self.port, start, drip=drip):
            self.complain([f"a connection that began with {start!r} and went no further stayed open"])

    async def _activate(self) -> str:
        nonce: str = (await self._operator_request(ARM, {}))["nonce"]
        await self._operator_request(MODE, {"mode": Mode.ACTIVE, "nonce": nonce})
        return nonce

    def _override(self, p_kw: float, for_s: float) -> Mapping[str, Any]:
        return {"device": self.invalid.converters[0], "p_kw": p_kw, "q_kvar": 0.0, "for_s": for_s}

    async def _operator_request(self, path: str, content: object) -> Mapping[str, Any]:
        return await self._expect_success(json_request(path, content, bearer(self.invalid.tokens[Role.OPERATOR])))

    async def _read(self, name: str, role: Role) -> Mapping[str, Any]:
        headers = bearer(self.invalid.tokens[role])
        return await self._expect_success(HttpRequest("GET", f"{PREFIX}/{name}", b"", headers, role))

    async def _expect_success(self, request: HttpRequest) -> Mapping[str, Any]:
        """Send a valid request; returns the content of its answer.

        Raises:
            NotGrantedError: it was not granted.
        """
        answer = await send_request(self.port, request)
        if answer.status != 200:
            raise NotGrantedError(f"{request.audit_text(answer.status)}, allowed 200")
        if request.method == "POST":
            self.seen[request.audit_text(answer.status)] += 1
        content: Mapping[str, Any] = json.loads(answer.text)
        return content


def jitter(quiet_s: Sequence[float], during_s: Sequence[float]) -> Sequence[str]:
    """Whether a cycle during the abuse took longer in real time than ``JITTER_S`` above the median without it."""
    longer_s = max(during_s) - median(quiet_s)
    return [f"a cycle took {longer_s:.2f} s longer, allowed {JITTER_S:g} s"] if longer_s > JITTER_S else []


def changed(before: WatchedState, after: WatchedState) -> Sequence[str]:
    """State that differs from before."""
    return [
        f"{name}: {was}, then {vars(after)[name]}" for name, was in vars(before).items() if was != vars(after)[name]
    ]


def unrecorded(seen: Counter[str], trail: Path) -> Sequence[str]:
    """Answered requests that the audit trail lacks, or has too few of."""
    recorded: Counter[str] = Counter()
    for note in read_audit(trail):
        if isinstance(note, AuditNote) and note.event == EVENT:
            for what, rest in _ATTEMPT.findall(note.detail):
                times = _TIMES.search(rest)
                recorded[what] += int(times[1]) if times else 1
    return [f"{what} × {count} not on record" for what, count in (seen - recorded).items()]
