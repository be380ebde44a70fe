"""Runs fuzz rounds in several processes against one server and watches the server's memory between stages."""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import dataclass, field

from support.resp import ConnectionClosed, ProtocolViolation
from support.server import Server, tail

from reliability.command_fuzz import ROUND_SIZE, FuzzRound, Tally
from reliability.processes import Footprint, footprint_when_empty, slope

WORKERS = 2
FINDING_LIMIT = 50
# Tables of the server itself grow in steps, once. A leak of a byte in ten commands is more than this in a full run.
USED_MEMORY_TOLERANCE_BYTES = 65_536
RSS_TOLERANCE_BYTES = 8_000_000


@dataclass(frozen=True)
class Task:
    """Some rounds of one worker."""

    port: int
    seed: str
    worker: int
    first: int
    rounds: int


@dataclass
class Outcome:
    """What a task did; ``trouble`` tells of a lost connection, a hang or nonsense on the wire."""

    tally: Tally
    trouble: str | None = None


@dataclass
class Campaign:
    """The results of all stages."""

    tally: Tally = field(default_factory=Tally)
    footprints: list[Footprint] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        return self.troubles + [str(finding) for finding in self.tally.findings] + self.memory_problems()

    def memory_problems(self) -> list[str]:
        """Growth from the end of the second stage, when every code path has run, to the last."""
        if len(self.footprints) < 4:
            return []
        start, end = self.footprints[2], self.footprints[-1]
        problems = []
        if end.used_memory > start.used_memory + USED_MEMORY_TOLERANCE_BYTES:
            problems.append(f"used_memory grows: {start} -> {end}")
        if end.rss > start.rss + RSS_TOLERANCE_BYTES:
            problems.append(f"RSS grows: {start} -> {end}")
        return problems

    def rss_slope(self) -> float:
        """Bytes of resident memory per thousand commands, from the second stage on."""
        thousands = self.tally.total / 1000 / max(1, len(self.footprints) - 1)
        return slope([(index * thousands, point.rss) for index, point in enumerate(self.footprints)][2:])


def run_task(task: Task) -> Outcome:
    """The body of a worker process."""
    tally = Tally()
    for number in range(task.first, task.first + task.rounds):
        current = FuzzRound(task.port, f"{task.seed}:{task.worker}:{number}", task.worker, tally)
        try:
            current.run()
        except (OSError, ConnectionClosed, ProtocolViolation, AssertionError) as error:
            lines = "\n    ".join(current.last_commands())
            return Outcome(tally, f"round {current.name}: {error!r:.2000}\n    {lines}")
        if len(tally.findings) >= FINDING_LIMIT:
            break
    return Outcome(tally)


def run_campaign(server: Server, seed: str, count: int, stages: int = 10, report: bool = True) -> Campaign:
    """About ``count`` commands in stages; ends early when the server is in trouble."""
    campaign = Campaign(footprints=[footprint_when_empty(server)])
    rounds = math.ceil(count / ROUND_SIZE / WORKERS / stages)
    start = time.monotonic()
    # Forking a process that holds sockets and threads invites trouble.
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        for stage in range(stages):
            tasks = [Task(server.port, seed, worker, stage * rounds, rounds) for worker in range(WORKERS)]
            before = time.monotonic()
            for outcome in pool.map(run_task, tasks):
                campaign.tally.add(outcome.tally)
                if outcome.trouble:
                    campaign.troubles.append(outcome.trouble)
            campaign.seconds += time.monotonic() - before
            if campaign.troubles or not server.responsive(timeout=20):
                campaign.troubles.append(post_mortem(server))
                break
            campaign.footprints.append(footprint_when_empty(server))
            if report:
                _report_stage(campaign, stage, stages, time.monotonic() - start)
            if len(campaign.tally.findings) >= FINDING_LIMIT:
                break
    return campaign


def post_mortem(server: Server) -> str:
    """What there is to say of a server in trouble: the crash report up to its stack trace, or the end of the log."""
    state = "is alive" if server.alive() else f"died with status {server.exit_status}"
    log = server.log_text()
    start = log.find("REPORT START")
    end = log.find("REGISTERS", start)
    extract = tail(log, 20) if start < 0 else log[max(0, start - 1000) : end if end > 0 else start + 6000]
    return f"the server {state}; its log:\n{extract}"


def _report_stage(campaign: Campaign, stage: int, stages: int, elapsed: float) -> None:
    total = campaign.tally.total
    print(
        f"stage {stage + 1}/{stages}: {total:,} commands, {campaign.tally.succeeded:,} succeeded, "
        f"{total / campaign.seconds:,.0f}/s, {len(campaign.tally.findings)} findings, {elapsed:.0f} s; "
        f"empty: {campaign.footprints[-1]}",
        flush=True,
    )
