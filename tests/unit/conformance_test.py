#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the conformance runner makes of the words of others' tests."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__)))))

from conformance import compare, known, machine, memory, report  # noqa: E402
from conformance.suite import ConformanceError, Outcome, of_job, \
    of_tap                                              # noqa: E402
from conformance.suites.ruby import Ruby                  # noqa: E402
from conformance.world import TROUBLE, Done                     # noqa: E402

TAP = """\
TAP version 13
1..5
# Starting 2 tests from 1 test cases.
ok 1 - connect
not ok 2 - send # TODO some day
not ok 3 receive
ok 4 # SKIP no network
ok 5 - connect
"""
RUBY = """\
[1/4] TestSocket#test_one = 0.02 s
[2/4] TestSocket#test_two = 0.01 s
[3/4] TestSocket#test_three = 0.01 s
  1) Failure:
TestSocket#test_two [test/socket/test_socket.rb:5]:
expected 1.

  2) Skipped:
TestSocket#test_three [test/socket/test_socket.rb:9]:
no network
Finished tests in 0.7 s
"""
SNAPSHOT = """\
slabinfo - version: 2.1
TCP {tcp} {tcp} 2432 13 8 : tunables 0 0 0 : slabdata 1 1 0
kmalloc-64 {small} 9000 64 64 1 : tunables 0 0 0 : slabdata 1 1 0
SUnreclaim:  {slab} kB
VmallocUsed: 900 kB
TCP: inuse 3 orphan 0 tw 0 alloc 4 mem 0
circuits {circuits}
"""


def snapshot(tcp=5, small=100, slab=9000, circuits=0, **switch):
    text = SNAPSHOT.format(tcp=tcp, small=small, slab=slab,
                           circuits=circuits)
    return memory.Snapshot(text, {"circuits_now": 0, "segments_mapped": 3,
                                  "ring_bytes": 0, **switch})


def results(outcomes):
    return {one.test: one.result for one in outcomes}


class Words(unittest.TestCase):
    def test_tap_is_read(self):
        self.assertEqual(results(of_tap("p", Done(1, 2, TAP, False))), {
            "p: connect": "pass", "p: send": "skip", "p: receive": "fail",
            "p: 4": "skip", "p: connect (2)": "pass", "p": "fail"})

    def test_ends_of_programs_are_told_apart(self):
        for code, is_hang, result in ((0, False, "pass"), (1, False, "fail"),
                                      (137, True, "hang"),
                                      (139, False, "crash")):
            self.assertEqual(of_job("p", Done(code, 1, "", is_hang)).result,
                             result)

    def test_ruby_is_read(self):
        done = Done(1, 1, RUBY, False)
        self.assertEqual(results(Ruby.outcomes("f", done)), {
            "f: TestSocket#test_one": "pass",
            "f: TestSocket#test_two": "fail",
            "f: TestSocket#test_three": "skip"})

    def test_ruby_that_hangs_names_its_test(self):
        done = Done(137, 600, "[1/2] TestSocket#test_one", True)
        self.assertEqual(results(Ruby.outcomes("f", done)), {
            "f: TestSocket#test_one": "hang", "f": "hang"})


class Comparison(unittest.TestCase):
    def compare(self, plain, circuits, entries=()):
        return compare.compare("s", *(
            [Outcome(test, result) for test, result in table.items()]
            for table in (plain, circuits)), entries)

    def verdicts(self, found):
        return {one["test"]: one["verdict"] for one in found["differences"]}

    def test_what_passes_on_tcp_only_is_a_defect(self):
        found = self.compare(
            {"a": "pass", "b": "pass", "c": "pass", "d": "fail", "e": "skip",
             "f": "pass", "g": "fail"},
            {"a": "pass", "b": "fail", "c": "skip", "d": "pass", "e": "skip",
             "g": "hang"})
        self.assertEqual(self.verdicts(found), {
            "b": "defect", "c": "defect", "d": "reverse", "f": "defect"})
        self.assertEqual(found["counts"], {
            "passed_tcp": 4, "passed_both": 1, "failed_both": 1,
            "skipped_both": 1})
        self.assertEqual(found["failed_both"], ["g"])

    def test_a_known_difference_is_one(self):
        entry = known.Known("s", "b*", "limit", "why")
        found = self.compare({"b1": "pass", "c": "pass"},
                             {"b1": "fail", "c": "fail"}, [entry])
        self.assertEqual(self.verdicts(found), {"b1": "known",
                                                "c": "defect"})
        self.assertEqual(compare.stale("s", [entry]), [])

    def test_a_known_difference_that_is_gone_is_told(self):
        entry = known.Known("s", "b", "limit", "why")
        self.compare({"b": "pass"}, {"b": "pass"}, [entry])
        self.assertEqual(compare.stale("s", [entry]), [entry])

    def test_of_two_results_of_a_test_the_worse_counts(self):
        for order in (["pass", "fail"], ["fail", "pass"], ["fail"]):
            found = compare.by_name([Outcome("a", one) for one in order])
            self.assertEqual(found["a"].result, "fail")

    def test_a_share_is_not_rounded_up(self):
        self.assertEqual(report.percent(9999.9 / 10000), "99.99 %")
        self.assertEqual(report.percent(1.0), "100 %")

    def test_what_is_written_by_hand_stays(self):
        ours = f"\n{report.BY_HAND}\n\nSeen.\n"
        self.assertEqual(report.keep_by_hand("# New\n", "# Old\n" + ours),
                         "# New\n" + ours)
        self.assertEqual(report.keep_by_hand("# New\n", "# Old\n"),
                         "# New\n")


class List(unittest.TestCase):
    def load(self, text):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "known.toml"
            path.write_text(text)
            return known.load(path)

    def test_the_list_of_this_tree_is_sound(self):
        self.assertIsInstance(known.load(), list)

    def test_an_entry_needs_a_cause(self):
        for text in ('suite = "s"\ntest = "t"\nkind = "limit"\ncause = " "',
                     'suite = "s"\ntest = "t"\nkind = "odd"\ncause = "c"',
                     'suite = "s"\ntest = "t"\nkind = "limit"'):
            with self.assertRaises(ConformanceError):
                self.load(f"[[difference]]\n{text}\n")


class Kernel(unittest.TestCase):
    LOCKUP = ["BUG: soft lockup - CPU#0 stuck for 39s!", "RIP: {}",
              "Call Trace:", "something"]

    def complaints(self, place, is_stalled=False):
        lines = [line.format(place) for line in self.LOCKUP]
        return len(machine.complaints([*lines, "WARNING: at foo"], TROUBLE,
                                      is_stalled))

    def test_a_machine_that_stood_still_excuses_lateness_only(self):
        self.assertEqual(self.complaints("0010:foo"), 3)
        self.assertEqual(self.complaints("0010:foo", True), 1)
        self.assertEqual(self.complaints("0033:0x1234"), 1)


class Memory(unittest.TestCase):
    def test_what_came_back_is_no_leak(self):
        self.assertEqual(snapshot(tcp=8, small=900).beyond(snapshot()), [])

    def test_each_kind_of_leak_is_told(self):
        for change, word in (({"tcp": 50}, "slab TCP"),
                             ({"small": 20000}, "slab kmalloc-64"),
                             ({"slab": 20000}, "SUnreclaim"),
                             ({"circuits": 1}, "the guest holds"),
                             ({"ring_bytes": 4096}, "ring_bytes")):
            found = snapshot(**change).beyond(snapshot())
            self.assertEqual(len(found), 1, found)
            self.assertIn(word, found[0])


if __name__ == "__main__":
    unittest.main()
