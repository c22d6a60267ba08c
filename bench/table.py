# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of results: Markdown for doc/benchmarks.md, short ones to look at."""

from pathlib import Path

# Written by hand: what the figures led to.
FINDINGS = Path(__file__).with_name("findings.md")
# Processors of others from which on a reader is warned.
BUSY = 0.3
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def shown(value, unit=""):
    """A figure with three digits, large ones with a prefix."""
    for factor, prefix in PREFIXES:
        if abs(value) >= factor and unit in ("bytes/s", "bytes"):
            return f"{value / factor:.3g} {prefix}{unit[0].upper()}{unit[5:]}"
    if abs(value) >= 100:
        return f"{value:,.0f} {unit}".strip()
    return f"{value:.3g} {unit}".strip()


def size_of(size):
    """A size as people write it."""
    if size is None:
        return ""
    for factor, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= factor and not size % factor:
            return f"{size // factor} {name}"
    return f"{size} B"


def cells(row):
    """The columns of a row, for both kinds of tables."""
    unit = row["unit"]
    ratio = f"{row['ratio_median']:.2f} × {row['versus']}" \
        if "ratio_median" in row else ""
    share = f"{row['limit_share']:.0%} of {row['limit']}" \
        if "limit_share" in row else ""
    return [row["metric"], size_of(row["size"]),
            "" if row["connections"] is None else str(row["connections"]),
            row["subject"], str(len(row["runs"])), shown(row["median"], unit),
            f"{shown(row['min'])} … {shown(row['max'])}"
            if unit not in ("bytes/s", "bytes") else
            f"{shown(row['min'], unit)} … {shown(row['max'], unit)}",
            ratio, share]


TITLES = ("what", "size", "connections", "subject", "runs", "median",
          "min … max", "ratio", "share of limit")


def grouped(results):
    """[(bench, rows)] in the order in which they ran."""
    groups = {}
    for row in results.rows():
        groups.setdefault(row["bench"], []).append(row)
    return [(bench, sorted_rows(rows)) for bench, rows in groups.items()]


def sorted_rows(rows):
    """Rows to compare stand beside each other, costs come last."""
    order = {}
    for row in rows:
        order.setdefault(row["metric"], len(order))
    return sorted(rows, key=lambda row: (
        order[row["metric"]], row["size"] or 0, row["connections"] or 0))


def tables_of(rows):
    """The tables of a benchmark, each its lines: figures, what they cost."""
    yield list(figures_of([row for row in rows if row["kind"] != "cost"]))
    costs = [row for row in rows if row["kind"] == "cost"]
    if costs:
        yield list(costs_of(costs))


def lines_of(rows):
    """The same, one below the other."""
    for number, lines in enumerate(tables_of(rows)):
        if number:
            yield ""
        yield from lines


def table_of(titles, body):
    """A table without the columns in which nothing stands."""
    used = [index for index in range(len(titles))
            if any(line[index] for line in body)]
    yield "| " + " | ".join(titles[index] for index in used) + " |"
    yield "|" + " --- |" * len(used)
    for line in body:
        yield "| " + " | ".join(line[index] for index in used) + " |"


def figures_of(rows):
    yield from table_of(TITLES, [cells(row) for row in rows])


def costs_of(rows):
    """One line for a case of a subject: medians only."""
    metrics = {row["metric"]: row["unit"] for row in rows}
    lines = {}
    for row in rows:
        key = (size_of(row["size"]), str(row["connections"] or ""),
               row["subject"])
        lines.setdefault(key, {})[row["metric"]] = shown(row["median"])
    yield from table_of(
        ("size", "connections", "subject",
         *(f"{metric}, {unit}" for metric, unit in metrics.items())),
        [(*key, *(found.get(metric, "") for metric in metrics))
         for key, found in lines.items()])


def summary(results):
    """What circuits reach beside each peer, one line for a figure."""
    body = {}
    for row in results.rows():
        if row["kind"] == "cost" or row["bench"] == "limit":
            continue
        key = (row["bench"], row["metric"], size_of(row["size"]),
               str(row["connections"] or ""))
        body.setdefault(key, {})[row["subject"]] = row
    lines = []
    for key, found in body.items():
        best = found.get("circuits")
        if best and "ratio_median" in best:
            lines.append((
                *key, shown(best["median"], best["unit"]),
                shown(found[best["versus"]]["median"], best["unit"]),
                f"{best['ratio_median']:.2f} × {best['versus']}"
                + (" (less is better)" if best["better"] == "less" else ""),
                f"{best['limit_share']:.0%} of {best['limit']}"
                if "limit_share" in best else ""))
    yield from table_of(("benchmark", "what", "size", "connections",
                         "circuits", "peer", "ratio", "share of limit"),
                        lines)


def disturbed(results):
    """The line that tells how far to trust the figures."""
    found = results.disturbance()
    if not found:
        return []
    line = ("- Used by other processes (and by the host's kernel outside of "
            f"processes) during runs: {found['median']} processors (median), "
            f"{found['max']} (most)")
    if found["median"] > BUSY:
        line += ("; **the machine was shared, so take the figures as lower "
                 "bounds and look at the ratios**")
    return [line]


INTRODUCTION = """\
# Benchmarks

Written by `make bench`; every figure is measured. In each round the subjects
take turns (A B A B …) in the same guests{warm}. *ratio* is the median of
the ratios pair by pair; *share of limit* is what the median reaches of what the
machine can do without a network, measured in the same run (section "limit").
Costs are medians, of both guests (cpu guest: the virtual processors), their
hypervisors (cpu qemu) and the back-end (the switch, passt, vhost-device-vsock)
together; `build/bench/results.json` has all runs of them.
"""


def markdown(about, results):
    """The whole of doc/benchmarks.md."""
    machine = about["machine"]
    runs = [len(row["runs"]) for row in results.rows()] or [0]
    lines = [
        INTRODUCTION.format(warm="" if about["mode"] == "quick"
                            else ", after a warm-up"),
        f"- Date: {about['date']}, mode: {about['mode']}, "
        f"{about['seconds']:.0f} s; {min(runs)} to {max(runs)} runs of each",
        f"- Machine: {machine['processors']} × {machine['processor']}, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}; guests "
        f"run under {machine['accelerator']}",
        *disturbed(results),
        "- Versions: " + ", ".join(
            f"{name} {version}"
            for name, version in about["versions"].items()), ""]
    lines += ["| subject | what it is |", "| --- | --- |"]
    lines += [f"| {name} | {'; '.join(titles)} |"
              for name, titles in about["subjects"].items()]
    lines += ["", "## Summary", "", *summary(results), ""]
    lines += FINDINGS.read_text().splitlines()
    for bench, rows in grouped(results):
        lines += ["", f"## {bench}", "", *lines_of(rows)]
    lines += ["", "## What could not run", ""]
    for lack in results.missing:
        evidence = " ".join(lack["evidence"].split())
        lines.append(f"- {lack['bench']}, {lack['subject']}, {lack['what']}: "
                     f"{lack['reason']} (`{evidence[:300]}`)")
    for lack in results.failures:
        lines.append(f"- {lack['bench']}, {lack['what']}, FAILED: "
                     f"{' '.join(lack['why'].split())[:300]}")
    return "\n".join(lines) + "\n"


def short(results):
    """What a person looks at first: the figures, not the costs."""
    lines = []
    for bench, rows in grouped(results):
        if bench == "limit":
            continue
        for row in rows:
            if "ratio_median" not in row or row["kind"] == "cost":
                continue
            what = " ".join(filter(None, (
                bench, row["metric"], size_of(row["size"]),
                f"x{row['connections']}" if row["connections"] else "")))
            lines.append(f"{what:44} {row['subject']:12} "
                         f"{shown(row['median'], row['unit']):>22} "
                         f"{row['ratio_median']:8.2f} x {row['versus']}")
    return "\n".join(lines)
