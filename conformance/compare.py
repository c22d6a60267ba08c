# SPDX-License-Identifier: GPL-2.0-or-later
"""Two runs of a suite, side by side."""

from conformance.suite import MISSING, PASS, SKIP

# Of a difference: what it is taken for.
DEFECT, KNOWN, REVERSE = "defect", "known", "reverse"


def by_name(outcomes):
    """Outcomes by test; of two of one name the worse counts."""
    table = {}
    for outcome in outcomes:
        known = table.get(outcome.test)
        if not known or known.result in (PASS, SKIP):
            table[outcome.test] = outcome
    return table


def judge(suite, difference, known):
    """Say what a difference is taken for."""
    entry = next((entry for entry in known
                  if entry.fits(suite, difference["test"])), None)
    results = [difference["tcp"], difference["circuits"]]
    if entry:
        entry.seen.append(results)
    difference["verdict"] = KNOWN if entry else \
        DEFECT if results[0] == PASS else REVERSE
    difference["kind"] = entry.kind if entry else None
    difference["cause"] = entry.cause if entry else None


def compare(suite, plain, circuits, known):
    """What a report says of a suite's tests.

    plain, circuits: lists of Outcome. known: of known.load(); what fits is
    marked as seen.
    """
    plain, circuits = by_name(plain), by_name(circuits)
    counts = {"passed_tcp": 0, "passed_both": 0, "failed_both": 0,
              "skipped_both": 0}
    differences = []
    for test in {**plain, **circuits}:
        one, other = plain.get(test), circuits.get(test)
        results = [each.result if each else MISSING for each in (one, other)]
        passed = [result == PASS for result in results]
        counts["passed_tcp"] += passed[0]
        counts["passed_both"] += all(passed)
        if passed[0] == passed[1]:
            if not passed[0]:
                counts["skipped_both" if set(results) <= {SKIP, MISSING}
                       else "failed_both"] += 1
            continue
        worse = other if passed[0] else one
        differences.append({"test": test, "tcp": results[0],
                            "circuits": results[1],
                            "said": worse.said if worse else ""})
        judge(suite, differences[-1], known)
    return {"counts": counts, "differences": differences,
            "failed_both": sorted(
                test for test, one in plain.items() if test in circuits and
                not {one.result, circuits[test].result} & {PASS, SKIP})}


def stale(suite, known):
    """Entries for a suite that ran, which nothing needed: their tests pass on
    both, or are gone."""
    return [entry for entry in known if entry.suite == suite and
            entry.kind != "flaky" and not entry.seen]
