# SPDX-License-Identifier: GPL-2.0-or-later
"""report.md, the table of doc/conformance.md, and what is shown at the end."""

from conformance.compare import DEFECT, KNOWN, REVERSE

INTRODUCTION = """\
# Conformance

Written by `make conformance` (`conformance/run --record`): other people's
socket tests, unmodified, as Debian 13 packages or builds them, in one guest.
Each suite runs twice: on the kernel's TCP and UDP, and with the redirect on and
`net.vmcircuit.local` 1, so that a connection of the guest to itself is a
circuit through the switch, and so are the datagrams that it sends itself. *kept*
is the share of the tests which pass on TCP that pass on circuits. The module's
counters say what the connections of the second run were: circuits, or TCP and
why.

"""
# Where the part of doc/conformance.md begins that stays as it is.
BY_HAND = "## Applications"
TITLES = ("suite", "tests that pass on TCP", "on circuits, too", "kept",
          "known differences", "unexplained", "circuits", "fallbacks",
          "date")


def share(row):
    counts = row["counts"]
    return counts["passed_both"] / counts["passed_tcp"] \
        if counts and counts["passed_tcp"] else 0.0


def percent(value):
    """Never rounded up to a whole that is not there."""
    return f"{int(value * 10000) / 100:g} %"


def number_of(row, verdict):
    return sum(one["verdict"] == verdict for one in row["differences"])


def troubles(row):
    """Why a suite's run is not all right, as sentences."""
    defects = number_of(row, DEFECT)
    return row["troubles"] + ([
        f"{defects} tests pass on TCP, fail on circuits and are not in "
        "known.toml"] if defects else [])


def lost(row):
    """Known differences that cost a test (the reverse is none)."""
    return sum(one["verdict"] == KNOWN and one["tcp"] == "pass"
               for one in row["differences"])


def fallbacks(row):
    found = [(name.removeprefix("fallback_").replace("_", " "), value)
             for name, value in row["sockets"].items()
             if name.startswith("fallback_") and value]
    return ", ".join(f"{value} {name}" for name, value in found) or "0"


def line(row):
    """One line on a suite's end."""
    if not row["counts"]:
        return f"{row['suite']}: {row['troubles'][0]}"
    counts = row["counts"]
    return (f"{row['suite']}: {counts['passed_both']} of "
            f"{counts['passed_tcp']} tests that pass on TCP pass on circuits "
            f"({percent(share(row))}), {number_of(row, DEFECT)} unexplained, "
            f"{lost(row)} known, {row['sockets']['circuits_connected']} "
            f"circuits, {row['seconds']} s")


def short(rows):
    return "\n".join(line(row) for row in rows)


def lines_of_table(rows):
    yield "| " + " | ".join(TITLES) + " |"
    yield "|" + " --- |" * len(TITLES)
    for row in rows:
        counts = row["counts"]
        if not counts:
            yield f"| {row['title']} |" + " |" * 7 + f" {row['date']} |"
            continue
        cells = (row["title"], counts["passed_tcp"], counts["passed_both"],
                 percent(share(row)), lost(row), number_of(row, DEFECT),
                 row["sockets"]["circuits_connected"], fallbacks(row),
                 row["date"])
        yield "| " + " | ".join(map(str, cells)) + " |"


def causes(row):
    """Known differences, those of one cause together."""
    groups = {}
    for one in row["differences"]:
        if one["verdict"] == KNOWN:
            groups.setdefault((one["kind"], one["cause"]), []).append(
                one["test"])
    for (kind, cause), tests in groups.items():
        names = ", ".join(f"`{test}`" for test in tests[:6])
        if len(tests) > 6:
            names += f" and {len(tests) - 6} more"
        yield f"- {names} ({kind}): {' '.join(cause.split())}"


def keep_by_hand(new, old):
    """A new doc/conformance.md with what people wrote at the old one's end."""
    begin = old.find(f"\n{BY_HAND}\n")
    return new if begin < 0 else new + old[begin:]


def table(rows):
    """doc/conformance.md, but for what is written by hand."""
    lines = [*lines_of_table(rows)]
    for row in rows:
        lines += ["", f"## {row['title']}", ""]
        if row["source"]:
            lines += [f"From {row['source']}. {row['note']}".strip(), ""]
        elif row["note"]:
            lines += [row["note"], ""]
        lines += [f"- {why}" for why in troubles(row)]
        known = list(causes(row))
        lines += known or ["No known differences."]
    return INTRODUCTION + "\n".join(lines) + "\n"


def details(title, differences):
    if not differences:
        return
    yield from ("", f"### {title}", "")
    for one in differences:
        yield (f"- `{one['test']}`: {one['tcp']} on TCP, {one['circuits']} "
               "on circuits" + (f" ({one['kind']}: {one['cause']})"
                                if one["cause"] else ""))
        if one["said"] and not one["cause"]:
            yield "\n".join(["", "  ```", *(
                f"  {text}" for text in one["said"].splitlines()), "  ```",
                ""])


def markdown(rows):
    """report.md: everything but the tests that agree."""
    lines = ["# Conformance", "", *lines_of_table(rows)]
    for row in rows:
        lines += ["", f"## {row['title']}", "", line(row) + ".", ""]
        lines += [f"- TROUBLE: {why}" for why in troubles(row)]
        if row.get("machine_stalls_s"):
            lines.append("- the machine stood still for "
                         f"{sum(row['machine_stalls_s']):.0f} s: tests of "
                         "time may have failed for that")
        lines += ["- sockets of the run over circuits: " + ", ".join(
            f"{name} {value}" for name, value in row["sockets"].items()
            if value)] if row["sockets"] else []
        for title, verdict in (("Unexplained", DEFECT), ("Known", KNOWN),
                               ("Only on circuits", REVERSE)):
            lines += details(title, [one for one in row["differences"]
                                     if one["verdict"] == verdict])
        if row["stale"]:
            lines += ["", "### Known, but not seen any more", ""]
            lines += [f"- {text}" for text in row["stale"]]
        if row["failed_both"]:
            lines += ["", "### Fail on both", ""]
            lines += [f"- `{test}`" for test in row["failed_both"]]
    return "\n".join(lines) + "\n"
