# SPDX-License-Identifier: GPL-2.0-or-later
"""What demos measured in rounds: medians, and ratios pair by pair."""

import statistics


def add(samples, values):
    """Note a round: values are {what: (value, unit)}."""
    for what, (value, unit) in values.items():
        samples.setdefault(what, {"unit": unit, "samples": []})
        samples[what]["samples"].append(value)


def told(values):
    return ", ".join(f"{what} {value:.2f} {unit}"
                     for what, (value, unit) in values.items())


def summary(samples, targets):
    """targets: {"a row / another": what the ratio is to be at least, or
    at_most(), or None}."""
    for row in samples.values():
        row["median"] = statistics.median(row["samples"])
    ratios = {}
    for name, target in targets.items():
        above, below = (samples[what]["samples"] for what in name.split(" / "))
        bound = isinstance(target, tuple)
        # Pair by pair, so that what disturbs a round disturbs both.
        ratios[name] = {
            "ratio": statistics.median(a / b for a, b in zip(above, below)),
            "target": target[1] if bound else target, "is_upper": bound}
    return {"rows": samples, "ratios": ratios}


def at_most(value):
    """A target that is not to be exceeded."""
    return "at most", value


def show(table):
    rounds = max(len(row["samples"]) for row in table["rows"].values())
    print(f"\nmedian of {rounds}")
    for what, row in table["rows"].items():
        print(f"  {what:34}{row['median']:>10.2f} {row['unit']}")
    for name, row in table["ratios"].items():
        target, ratio = row["target"], row["ratio"]
        if target is None:
            print(f"  {name:34}{ratio:>10.2f}")
            continue
        missed = ratio > target if row["is_upper"] else ratio < target
        bound = "at most" if row["is_upper"] else "target"
        print(f"  {name:34}{ratio:>10.2f}  {bound} {target:.2f}"
              f"{'  missed' if missed else ''}")
