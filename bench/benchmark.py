# SPDX-License-Identifier: GPL-2.0-or-later
"""A benchmark: work that two programs do over each of some subjects."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """How long it may take. rounds are counted, warm-ups are not.

    A case that has had fewest_rounds ends when its share of budget_s is over, so
    that the whole ends in time. A full run has all rounds however long they take,
    unless it is told a time.
    """

    rounds: int = 5
    fewest_rounds: int = 5
    warmups: int = 1
    seconds: float = 1.0
    budget_s: float = 27 * 60
    is_quick: bool = False


FULL = Plan()
FEWEST_IN_TIME = 3
QUICK = Plan(rounds=2, fewest_rounds=1, warmups=0, seconds=0.5, budget_s=130,
             is_quick=True)


class Schedule:
    """Shares the time among cases, by the number of subjects of each."""

    def __init__(self, benchmarks, plan, now=time.monotonic):
        self.now, self.begin_s = now, now()
        self.budget_s = plan.budget_s
        self.total = sum(len(one.cases(plan)) * one.nr_takers()
                         for one in benchmarks)
        self.done, self.until_s = 0, 0

    def enter(self, benchmark):
        """The next case is one of this benchmark."""
        self.done += benchmark.nr_takers()
        self.until_s = self.begin_s + self.budget_s * self.done / self.total

    def is_late(self):
        return self.now() > self.until_s


@dataclass(frozen=True)
class Case:
    """One setting of a benchmark, which all subjects go through in turns."""

    label: str
    size: int = None            # bytes of a message, or of a file
    connections: int = None
    options: dict = field(default_factory=dict, hash=False)


@dataclass
class Run:
    """What one run gave: figures, and the work that costs are for.

    figures: {metric: (value, unit)}. less: those of which less is better.
    costs: likewise, of which less is always better; the turns add them.
    """

    figures: dict
    nr_bytes: int = 0
    nr_trips: int = 0
    less: tuple = ()
    costs: dict = field(default_factory=dict)


class Benchmark:
    """What all have; see bench/benchmarks/ for the real ones.

    subjects: names, in the order of turns. baseline: the one that ratios are
    to. limits: {metric: (place, metric) of a row of bench "limit"}. is_proved:
    whether circuits are counted in each run.
    """

    name = ""
    world = "pair"
    subjects = ("circuits", "virtio-net")
    baseline = "virtio-net"
    limits = {}
    is_quick = True
    has_costs = False
    is_proved = True

    def takers(self, world):
        """Who takes turns: the subjects that this world has."""
        found = [world.subject(name) for name in self.subjects]
        return [subject for subject in found if subject]

    def nr_takers(self):
        return len(self.subjects)

    def cases(self, plan):
        """The Cases, in order."""
        raise NotImplementedError

    def prepare(self, world, subjects, plan):
        """Start servers, before the first case; the world stops them."""

    def excuse(self, subject, case):
        """Why a subject cannot do a case, or None."""

    def once(self, world, subject, case, plan):
        """One run; return a Run."""
        raise NotImplementedError
