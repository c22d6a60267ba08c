#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmarks make of programs' words and of numbers."""

import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__)))))

from bench import benchmarks, cost, figure, plot        # noqa: E402
from bench import subjects, table                       # noqa: E402
from bench.benchmark import FULL, QUICK, Benchmark      # noqa: E402
from bench.benchmark import Case, Plan, Schedule        # noqa: E402
from bench.benchmarks import crowd, http, iperf3, limit, netperf, redis, \
    sockperf                                            # noqa: E402
from bench.guest import BenchError                      # noqa: E402
from bench.result import Results                        # noqa: E402
from bench.subject import CircuitSubject, Subject       # noqa: E402

INTERRUPTS = """\
           CPU0       CPU1
  0:        154          1   IO-APIC   2-edge      timer
 20:       1000         83   IO-APIC  20-fasteoi   virtio3
 29:       2561          9   PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 30:      17256          0   PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
 31:          5          0   PCI-MSIX-0000:00:03.0   3-edge      virtio20-output.0
LOC:       3592       3000   Local timer interrupts
ERR:          0
"""
NETSTAT = """\
TcpExt: SyncookiesSent SyncookiesRecv
TcpExt: 0 7
IpExt: InNoRoutes InOctets OutOctets
IpExt: 0 179157 1590534448
"""
WRK = """\
Running 1s test @ http://10.77.0.2:8080/1024
  1 threads and 16 connections
  Latency Distribution
     50%    6.38ms
     75%    8.00ms
     90%  950.00us
     99%    1.02s
  2105 requests in 1.00s, 2.63MB read
Requests/sec:   2104.50
Transfer/sec:      2.63MB
"""
SOCKPERF = """\
sockperf: ---> <MAX> observation = 5011.700
sockperf: ---> percentile 99.999 = 5011.700
sockperf: ---> percentile 99.900 = 2500.125
sockperf: ---> percentile 99.000 =  900.500
sockperf: ---> percentile 50.000 =  337.600
"""


class Figures(unittest.TestCase):
    def test_summary_is_of_the_runs(self):
        self.assertEqual(figure.summary([5, 1, 3, 9, 2]),
                         {"median": 3, "min": 1, "max": 9})
        self.assertEqual(figure.summary([4, 2])["median"], 3)

    def test_summary_refuses_nothing(self):
        with self.assertRaises(ValueError):
            figure.summary([])

    def test_ratio_is_pair_by_pair(self):
        # The medians alone would give 2.
        self.assertEqual(figure.ratio_median([10, 40, 6], [2, 10, 3]), 4)

    def test_ratio_leaves_out_pairs_over_zero(self):
        self.assertEqual(figure.ratio_median([1, 8], [0, 2]), 4)
        self.assertIsNone(figure.ratio_median([1], [0]))

    def test_ratio_needs_pairs(self):
        with self.assertRaises(ValueError):
            figure.ratio_median([1, 2], [1])

    def test_jain_is_one_if_all_have_the_same(self):
        self.assertAlmostEqual(figure.jain([7] * 1000), 1)

    def test_jain_is_one_of_n_if_one_has_all(self):
        self.assertAlmostEqual(figure.jain([0, 0, 9, 0]), 0.25)
        self.assertAlmostEqual(figure.jain([1, 2, 3]), 36 / 42)

    def test_jain_needs_something_to_share(self):
        with self.assertRaises(ValueError):
            figure.jain([0, 0])


class Words(unittest.TestCase):
    """Each parser takes what its program says, and refuses other words."""

    def test_iperf3_datagrams(self):
        text = json.dumps({"end": {"sum_received": {
            "bits_per_second": 8000, "bytes": 2000}}})
        self.assertEqual(iperf3.parse_datagrams(text, 100), (10, 2000))
        for other in ("", "{}", '{"end": {"sum_received": []}}'):
            with self.assertRaises(BenchError):
                iperf3.parse_datagrams(other, 100)

    def test_iperf3(self):
        text = json.dumps({"end": {
            "sum_received": {"bits_per_second": 8e9, "bytes": 2000},
            "streams": [{"receiver": {"bytes": 500}},
                        {"receiver": {"bytes": 1500}}]}})
        self.assertEqual(iperf3.parse(text), (1e9, 2000, [500, 1500]))
        for other in ("", "{}", '{"error": "unable to connect"}'):
            with self.assertRaises(BenchError):
                iperf3.parse(other)

    def test_netperf(self):
        self.assertEqual(netperf.parse(" 649.72 \n"), 649.72)
        for other in ("", "establish control: connection refused",
                      "1.0 2.0"):
            with self.assertRaises(BenchError):
                netperf.parse(other)

    def test_netperf_counts_connections_instead_of_seconds(self):
        self.assertLess(netperf.length("TCP_CRR", 1), 0)
        self.assertEqual(netperf.length("TCP_RR", 0.5), 1)

    def test_sockperf(self):
        self.assertEqual(sockperf.parse(SOCKPERF), {
            "p50": 337.6, "p99": 900.5, "p99.9": 2500.125})
        with self.assertRaises(BenchError):
            sockperf.parse("sockperf: No messages were received")

    def test_redis(self):
        text = ('"test","rps","avg_latency_ms"\n"SET","8511.00","1.1"\n'
                '"GET","9000.50","1.0"\n')
        self.assertEqual(redis.parse(text), {"SET": 8511, "GET": 9000.5})
        with self.assertRaises(BenchError):
            redis.parse('"test","rps"\n"SET","8511.00"\n')

    def test_wrk(self):
        self.assertEqual(http.parse(WRK), (2104.5, 6380, 1.02e6))

    def test_wrk_with_errors_is_no_result(self):
        for line in ("  Socket errors: connect 0, read 3, write 0, timeout 0",
                     "  Non-2xx or 3xx responses: 2105"):
            with self.assertRaises(BenchError):
                http.parse(WRK + line + "\n")
        with self.assertRaises(BenchError):
            http.parse("unable to connect to 10.77.0.2:8080")

    def test_limit(self):
        text = ('{"what": "copy", "unit": "bytes/s", "rate": 2.5, '
                '"seconds": 1}')
        self.assertEqual(limit.parse(text), (2.5, "bytes/s"))
        with self.assertRaises(BenchError):
            limit.parse("limit: memory")

    def test_crowd(self):
        line = crowd.parse('{"what": "ask", "connections": 2, "bytes": 64, '
                           '"seconds": 0.5, "total": 30, "each": [10, 20]}')
        self.assertEqual((line["rate"], line["each"]), (60, [10, 20]))
        with self.assertRaises(BenchError):
            crowd.parse("crowd: connection 1: Connection refused")


class Costs(unittest.TestCase):
    def test_interrupts_are_sums_over_processors(self):
        counts = cost.interrupts(INTERRUPTS)
        self.assertEqual(counts["timer"], 155)
        self.assertEqual(cost.device_interrupts(counts, "virtio3"), 1083)
        # Not those of virtio20.
        self.assertEqual(cost.device_interrupts(counts, "virtio2"), 19826)

    def test_octets(self):
        self.assertEqual(cost.tcp_octets(NETSTAT), (179157, 1590534448))
        self.assertEqual(cost.tcp_octets(""), (0, 0))

    def test_module_counters(self):
        self.assertEqual(cost.named_numbers("kicks_sent 3\nlies 0\n"),
                         {"kicks_sent": 3, "lies": 0})

    def test_costs_are_for_each_unit_of_work(self):
        before = cost.Sample(cpu={"guest": 1, "qemu": 1, "backend": 1},
                             module={"bytes_sent": 5}, switch={}, irqs=10)
        after = cost.Sample(cpu={"guest": 5, "qemu": 2, "backend": 1.5},
                            module={"bytes_sent": 5 + (2 << 30),
                                    "bytes_received": 2 << 30},
                            switch={"kicks_out": 2048}, irqs=10 + 4096)
        circuits = CircuitSubject()
        table_ = cost.costs(cost.between(before, after), circuits,
                            nr_bytes=2 << 30)
        self.assertEqual(table_["cpu guest"], (2, "s/GiB"))
        self.assertEqual(table_["cpu all"], (2.75, "s/GiB"))
        self.assertEqual(table_["interrupts"], (2, "1/MiB"))
        self.assertEqual(table_["switch kicks"], (1, "1/MiB"))
        self.assertEqual(table_["kernel copies"], (2, "copies/byte"))

    def test_costs_of_round_trips(self):
        spent = cost.Sample(cpu={"guest": 3, "qemu": 1, "backend": 0}, irqs=8)
        table_ = cost.costs(spent, Subject(), nr_trips=2000)
        self.assertEqual(table_["cpu guest"], (1.5, "s/1000 round trips"))
        self.assertEqual(table_["interrupts"], (4, "1/1000 round trips"))
        self.assertNotIn("cpu backend", table_)
        self.assertNotIn("kernel copies", table_)

    def test_copies_of_virtio_are_those_of_sockets_and_taps(self):
        spent = cost.Sample(cpu={}, octets_in=100, octets_out=100,
                            octets_tap=200)
        self.assertEqual(cost.copied_bytes(spent, Subject()), 400)
        self.assertIsNone(cost.copied_bytes(cost.Sample(), Subject()))


class Rows(unittest.TestCase):
    def setUp(self):
        self.results = Results()
        for mine, other in ((10, 2), (40, 10), (6, 3)):
            for subject, value in (("circuits", mine), ("virtio-net", other)):
                self.results.add("b", subject, "throughput", value, "bytes/s",
                                 size=64, connections=1,
                                 baseline="virtio-net",
                                 limit=("guest", "kernel copy"))
        self.results.add("limit", "guest", "kernel copy", 20, "bytes/s")

    def row(self, subject):
        return self.results.find(bench="b", subject=subject)[0]

    def test_a_row_has_its_statistics_ratio_and_share(self):
        row = self.row("circuits")
        self.assertEqual(
            [row[key] for key in ("runs", "median", "min", "max", "versus",
                                  "ratio_median", "limit", "limit_share")],
            [[10, 40, 6], 10, 6, 40, "virtio-net", 4, "guest: kernel copy",
             0.5])

    def test_the_baseline_has_no_ratio(self):
        self.assertNotIn("ratio_median", self.row("virtio-net"))
        self.assertNotIn("versus", self.row("virtio-net"))

    def test_no_ratio_where_a_run_is_absent(self):
        self.results.add("b", "circuits", "throughput", 1, "bytes/s", size=64,
                         connections=1)
        self.assertNotIn("ratio_median", self.row("circuits"))

    def test_no_share_of_another_unit(self):
        self.results.add("b", "circuits", "p50", 1, "us",
                         limit=("guest", "kernel copy"))
        row = self.results.find(metric="p50")[0]
        self.assertNotIn("limit_share", row)
        self.assertNotIn("limit", row)

    def test_a_subject_can_be_the_limit(self):
        for subject, value in (("circuits", 1), ("native", 4)):
            self.results.add("up", subject, "rate", value, "1/s", size=1,
                             connections=1, limit="native")
        rows = self.results.find(bench="up")
        self.assertEqual(rows[0]["limit_share"], 0.25)
        self.assertNotIn("limit_share", rows[1])

    def test_tables_name_what_was_measured(self):
        lines = list(table.lines_of(self.results.find(bench="b")))
        self.assertIn("4.00 × virtio-net", lines[2])
        self.assertIn("50% of guest: kernel copy", lines[2])
        self.assertEqual(len(lines), 4)

    def test_costs_are_one_line_for_each_subject(self):
        for subject, value in (("circuits", 1), ("virtio-net", 4)):
            for metric, unit in (("cpu all", "s/GiB"), ("kicks", "1/MiB")):
                self.results.add("b", subject, metric, value, unit, size=64,
                                 connections=1, kind="cost")
        lines = list(table.lines_of(self.results.find(bench="b")))
        self.assertEqual(lines[4:], [
            "", "| size | connections | subject | cpu all, s/GiB | "
            "kicks, 1/MiB |", "|" + " --- |" * 5,
            "| 64 B | 1 | circuits | 1 | 1 |",
            "| 64 B | 1 | virtio-net | 4 | 4 |"])

    def test_the_summary_has_a_line_for_each_figure_of_circuits(self):
        lines = list(table.summary(self.results))
        self.assertEqual(len(lines), 3)
        self.assertIn("| 4.00 × virtio-net | 50% of guest: kernel copy |",
                      lines[2])

    def test_figures_have_three_digits(self):
        self.assertEqual(table.shown(1.8812e9, "bytes/s"), "1.88 GB/s")
        self.assertEqual(table.shown(64, "bytes"), "64 bytes")
        self.assertEqual(table.shown(12345.6, "us"), "12,346 us")
        self.assertEqual(table.size_of(1 << 20), "1 MiB")
        self.assertEqual(table.size_of(1500), "1500 B")

    def test_plots_have_a_line_for_each_subject(self):
        lines = plot.by_axis(self.results, "b", "throughput", "size")
        self.assertEqual(lines["circuits"], [(64, 10, 6, 40)])
        text = plot.script(plot.Plot("t", "bytes/s", "bytes", lines))
        self.assertEqual(text.count("title \"virtio-net\""), 1)


class Time(unittest.TestCase):
    def test_a_case_is_late_when_its_share_of_the_budget_is_over(self):
        class Two(Benchmark):
            def cases(self, plan):
                return [Case("a"), Case("b")]

        clock = iter((1000, 1040, 1060, 1099, 1101))
        schedule = Schedule([Two()], Plan(budget_s=100), lambda: next(clock))
        schedule.enter(Two())
        self.assertEqual([schedule.is_late(), schedule.is_late()],
                         [False, True])
        schedule.enter(Two())
        self.assertEqual([schedule.is_late(), schedule.is_late()],
                         [False, True])


class Lists(unittest.TestCase):
    """A new benchmark or subject that is incomplete shows here."""

    def test_benchmarks_name_subjects_that_exist_in_their_world(self):
        known = {(world, one.name) for one in subjects.load()
                 for world in one.worlds}
        for one in benchmarks.load():
            for name in one.subjects:
                self.assertIn((one.world, name), known, one.name)

    def test_names_are_unique(self):
        names = [one.name for one in benchmarks.load()]
        self.assertEqual(len(names), len(set(names)))

    def test_cases_are_told_apart_by_what_rows_have(self):
        for one in benchmarks.load():
            for plan in (FULL, QUICK):
                cases = one.cases(plan)
                self.assertTrue(cases, one.name)
                if one.name == "vmc-serve":     # by their metric
                    continue
                keys = {(case.size, case.connections) for case in cases}
                self.assertEqual(len(keys), len(cases), one.name)

    def test_subjects_of_a_world_have_ports_of_their_own(self):
        for world in ("pair", "outside"):
            offsets = [one.offset for one in subjects.load()
                       if world in one.worlds]
            self.assertEqual(len(offsets), len(set(offsets)))


if __name__ == "__main__":
    unittest.main()
