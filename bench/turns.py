# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns: all subjects of a case once, then all again, A B A B."""

import dataclasses
import time

from bench.cost import Meter, between, costs, elsewhere
from bench.guest import BenchError
from lab.report import LabError


class Turns:
    """Goes through a benchmark in a world, and notes runs in results."""

    def __init__(self, world, benchmark, plan, schedule, results, say):
        self.world, self.benchmark, self.plan = world, benchmark, plan
        self.schedule, self.results, self.say = schedule, results, say
        self.subjects = benchmark.takers(world)
        self.meters = {}

    def take(self):
        """All cases; what fails is noted, and the next case is tried."""
        benchmark = self.benchmark
        try:
            benchmark.prepare(self.world, self.subjects, self.plan)
            for case in benchmark.cases(self.plan):
                self.schedule.enter(benchmark)
                self.take_case(case)
            self.world.check()
        except (BenchError, LabError, OSError, ValueError) as error:
            self.fail("the benchmark", error)
        finally:
            self.world.stop_servers()

    def fail(self, what, error):
        self.results.failures.append(
            {"bench": self.benchmark.name, "what": what, "why": str(error)})
        self.say(f"FAILED {self.benchmark.name}, {what}: {error}")

    def take_case(self, case):
        able = []
        for subject in self.subjects:
            excuse = self.benchmark.excuse(subject, case)
            if excuse:
                reason, evidence = excuse
                self.results.missing.append(
                    {"bench": self.benchmark.name, "subject": subject.name,
                     "what": case.label, "reason": reason,
                     "evidence": evidence})
            else:
                able.append(subject)
        begin, told = time.monotonic(), {}
        warmup = dataclasses.replace(self.plan, seconds=self.plan.seconds / 2)
        for number in range(-self.plan.warmups, self.plan.rounds):
            if number >= self.plan.fewest_rounds and self.schedule.is_late():
                break
            for subject in list(able):
                try:
                    run = self.run(subject, case,
                                   self.plan if number >= 0 else warmup)
                except (BenchError, LabError, OSError, ValueError) as error:
                    self.fail(f"{case.label}, {subject.name}", error)
                    able.remove(subject)
                    continue
                if number >= 0:
                    self.note(subject, case, run)
                    for metric, (value, _) in run.figures.items():
                        told.setdefault(metric, {}).setdefault(
                            subject.name, []).append(value)
        self.tell(case, told, time.monotonic() - begin)

    def run(self, subject, case, plan):
        """One run between two samples, and the proof of what it used."""
        subject.before(self.world)
        is_counted = self.benchmark.is_proved or self.benchmark.has_costs
        if not is_counted:
            return self.benchmark.once(self.world, subject, case, plan)
        meter = self.meters.setdefault(subject.name,
                                       Meter(self.world, subject))
        before = meter.read()
        run = self.benchmark.once(self.world, subject, case, plan)
        spent = between(before, meter.read())
        if subject.name != "native":
            self.results.disturbances.append(elsewhere(spent))
        if self.benchmark.is_proved and \
                (spent.circuits > 0) != subject.is_circuit:
            raise BenchError(f"it ran over {spent.circuits} circuits")
        if self.benchmark.has_costs:
            run.costs = costs(spent, subject, run.nr_bytes, run.nr_trips)
        return run

    def note(self, subject, case, run):
        for metric, figure in run.figures.items():
            self.add(subject, case, metric, figure,
                     better="less" if metric in run.less else "more",
                     limit=self.benchmark.limits.get(metric))
        for metric, figure in run.costs.items():
            self.add(subject, case, metric, figure, better="less",
                     kind="cost")

    def add(self, subject, case, metric, figure, **more):
        value, unit = figure
        self.results.add(self.benchmark.name, subject.name, metric, value,
                         unit, size=case.size, connections=case.connections,
                         baseline=self.benchmark.baseline, **more)

    def tell(self, case, told, seconds):
        """One line for the person who waits: the first figure."""
        metric = next(iter(told), None)
        if metric:
            middle = {name: sorted(values)[len(values) // 2]
                      for name, values in told[metric].items()}
            self.say(f"{self.benchmark.name}, {case.label}: {metric} "
                     + ", ".join(f"{name} {value:.4g}"
                                 for name, value in middle.items())
                     + f" ({seconds:.0f} s)")
