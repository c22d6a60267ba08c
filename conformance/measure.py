# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite's two runs in one guest, and everything that is looked at beside."""

import collections
import time

from conformance import compare
from conformance.suite import PASS
from conformance.world import CIRCUITS, PLAIN

# TIME_WAIT of fallbacks lasts a minute; what stays longer stays.
SETTLE_S, LOOK_S = 90, 5
COUNTERS = ("circuits_connected", "circuits_accepted", "accepted_tcp",
            "fallback_no_route", "fallback_local", "fallback_switch_gone",
            "fallback_namespace", "connects_failed", "circuits_reset",
            "datagrams_sent", "lies", "switch_lost")


class Measure:
    """One suite in a world that is booted."""

    def __init__(self, world, suite, known, say):
        self.world, self.suite, self.known = world, suite, known
        self.say = say
        self.troubles = []

    def take(self):
        """Run it twice; return its row for results.json."""
        begin = time.monotonic()
        self.suite.prepare(self.world)
        self.troubles += [f"the guest's kernel at its start: {line}"
                          for line in self.world.trouble()]
        plain = self.run(PLAIN)
        before, stats = self.world.snapshot(), self.world.stats()
        circuits = self.run(CIRCUITS)
        sockets = self.counted(stats)
        after = self.settle(before)
        found = compare.compare(self.suite.name, plain, circuits, self.known)
        self.judge(sockets, after.beyond(before))
        stale = [] if self.suite.only else \
            compare.stale(self.suite.name, self.known)
        return {"suite": self.suite.name, "title": self.suite.title,
                "source": self.suite.source, "note": self.suite.note,
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "seconds": round(time.monotonic() - begin),
                **found, "sockets": sockets, "troubles": self.troubles,
                "machine_stalls_s": self.world.watch.stalls,
                "memory": {"before": before.summary(),
                           "after": after.summary()},
                "stale": [f"{entry.test}: {entry.cause}" for entry in stale],
                "tests": self.pairs(plain, circuits)}

    def run(self, transport):
        self.world.redirect(transport)
        outcomes = []

        def tell(part, new, seconds):
            counts = collections.Counter(one.result for one in new)
            self.say(f"{self.suite.name}, {transport}: {part}: " + ", ".join(
                f"{number} {result}" for result, number in
                sorted(counts.items())) + f" in {seconds:.0f} s")
        for outcome in self.suite.run(self.world, tell):
            outcomes.append(outcome)
        for line in self.world.trouble():
            self.troubles.append(f"the guest's kernel, {transport}: {line}")
        if not any(one.result == PASS for one in outcomes):
            self.troubles.append(f"no test passed on {transport}")
        return outcomes

    def counted(self, before):
        now = self.world.stats()
        return {name: now[name] - before[name] for name in COUNTERS}

    def settle(self, before):
        """The snapshot after the last run, once all is back or nothing more
        comes back."""
        end = time.monotonic() + SETTLE_S
        while True:
            after = self.world.snapshot()
            if not after.beyond(before) or time.monotonic() > end:
                return after
            time.sleep(LOOK_S)

    def judge(self, sockets, leaks):
        if not sockets["circuits_connected"]:
            self.troubles.append("the run over circuits made none")
        for name in ("lies", "switch_lost"):
            if sockets[name]:
                self.troubles.append(f"the module counted {sockets[name]} "
                                     f"times {name}")
        self.troubles += [f"memory: {leak}" for leak in leaks]

    @staticmethod
    def pairs(plain, circuits):
        """{test: [result and seconds on TCP, the same on circuits]}"""
        table = {}
        for index, outcomes in enumerate((plain, circuits)):
            for one in compare.by_name(outcomes).values():
                table.setdefault(one.test, [None, None])[index] = \
                    [one.result, round(one.seconds, 2)]
        return table
