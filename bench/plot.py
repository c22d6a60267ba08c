# SPDX-License-Identifier: GPL-2.0-or-later
"""Plots, drawn by gnuplot as SVG."""

import subprocess
from dataclasses import dataclass

# The same colour for a subject in each plot.
COLOURS = {"circuits": "#c0392b", "mapped": "#e67e22",
           "virtio-net": "#2c5aa0", "virtio-net-mq": "#5dade2",
           "vsock": "#27ae60", "passt": "#8e44ad", "native": "#7f8c8d"}
HEAD = """
set terminal svg size 760,420 dynamic background "white" font "sans,13"
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set key outside right top
set title "{title}"
set ylabel "{unit}"
set format y "{form}"
"""


@dataclass
class Plot:
    """Lines by size or connections, or bars by metric.

    lines: {subject: [(x or label, median, min, max)]}.
    """

    title: str
    unit: str
    axis: str
    lines: dict
    is_bars: bool = False


def quoted(text):
    return str(text).replace("\\", "\\\\").replace('"', '\\"')


def placed(where):
    """A place on the axis: a number, or the label of a group of bars."""
    return where if isinstance(where, int) else f'"{quoted(where)}"'


def data_of(plot):
    """gnuplot's data blocks, one a subject."""
    text = ""
    for number, points in enumerate(plot.lines.values()):
        rows = "".join(f"{placed(point[0])} {point[1]} {point[2]} "
                       f"{point[3]}\n" for point in points)
        text += f"$data{number} << END\n{rows}END\n"
    return text


def script(plot):
    """What gnuplot is told."""
    is_rate = plot.unit.endswith("/s")
    text = HEAD.format(title=quoted(plot.title), unit=quoted(plot.unit),
                       form="%.0s%c" if is_rate else "%g") + data_of(plot)
    styles = []
    for number, subject in enumerate(plot.lines):
        colour = COLOURS.get(subject, "#444444")
        if plot.is_bars:
            styles.append(f'$data{number} using 2:xtic(1) with histograms '
                          f'fs solid 0.9 lc rgb "{colour}" '
                          f'title "{quoted(subject)}"')
        else:
            styles.append(f'$data{number} using 1:2:3:4 with yerrorlines '
                          f'lw 2 pt 7 ps 0.6 lc rgb "{colour}" '
                          f'title "{quoted(subject)}"')
    if plot.is_bars:
        text += "set style data histograms\nset yrange [0:*]\n"
    else:
        text += f'set logscale xy\nset xlabel "{quoted(plot.axis)}"\n'
        if "bytes" in plot.axis:
            text += 'set logscale x 4\nset format x "%.0b%BB"\n'
    return text + "plot " + ", ".join(styles) + "\n"


def draw(plot, path):
    """Draw to a file; raises OSError or CalledProcessError without gnuplot."""
    done = subprocess.run(["gnuplot"], input=script(plot), text=True,
                          capture_output=True, check=True)
    path.write_text(done.stdout)


def by_axis(results, bench, metric, axis):
    """The lines of a plot by "size" or "connections"."""
    lines = {}
    for row in results.find(bench=bench, metric=metric):
        lines.setdefault(row["subject"], []).append(
            (row[axis], row["median"], row["min"], row["max"]))
    return {subject: sorted(points) for subject, points in lines.items()}


def by_metric(results, bench, metrics, size=None):
    """The bars of a plot, one group a metric."""
    lines = {}
    for metric in metrics:
        for row in results.find(bench=bench, metric=metric):
            if size is None or row["size"] == size:
                lines.setdefault(row["subject"], []).append(
                    (metric, row["median"], row["min"], row["max"]))
    return lines


def all_plots(results):
    """{file name: Plot} of everything that was measured."""
    sizes, many = "bytes of a message", "connections"
    percentiles = ("p50", "p99", "p99.9")
    cpu = ("cpu guest", "cpu qemu", "cpu backend")
    wanted = {
        "sizes-iperf3": Plot(
            "iperf3: throughput by message size", "bytes/s", sizes,
            by_axis(results, "iperf3 sizes", "throughput", "size")),
        "sizes-crowd": Plot(
            "crowd: throughput by message size", "bytes/s", sizes,
            by_axis(results, "crowd sizes", "throughput", "size")),
        "latency": Plot(
            "sockperf, one message at a time: round trip", "us", "",
            by_metric(results, "sockperf ping-pong", percentiles), True),
        "latency-load": Plot(
            "sockperf under load: round trip", "us", "",
            by_metric(results, "sockperf under-load", percentiles), True),
        "many-requests": Plot(
            "crowd: round trips by connections", "round trips/s", many,
            by_axis(results, "crowd requests", "rate", "connections")),
        "many-streams": Plot(
            "crowd: throughput by connections", "bytes/s", many,
            by_axis(results, "crowd streams", "throughput", "connections")),
        "cost-iperf3": Plot(
            "iperf3, messages of 1 MiB: processor time", "s/GiB", "",
            by_metric(results, "iperf3 sizes", cpu, 1 << 20), True),
        "cost-netperf": Plot(
            "netperf TCP_RR: processor time", "s/1000 round trips", "",
            by_metric(results, "netperf TCP_RR", cpu), True)}
    return {name: plot for name, plot in wanted.items() if plot.lines}
