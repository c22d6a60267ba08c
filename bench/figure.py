# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of measured numbers: no more than these few statistics."""

import statistics


def summary(runs):
    """Median, minimum and maximum of the runs of one measurement."""
    if not runs:
        raise ValueError("a measurement without runs has no figures")
    return {"median": statistics.median(runs), "min": min(runs),
            "max": max(runs)}


def ratio_median(runs, versus):
    """The median of the ratios pair by pair, or None where there is none.

    Both lists are in the order of rounds, so a pair was measured within
    seconds; a pair that has zero below is left out.
    """
    if len(runs) != len(versus):
        raise ValueError("pairs need as many runs on both sides")
    ratios = [one / other for one, other in zip(runs, versus) if other]
    return statistics.median(ratios) if ratios else None


def jain(shares):
    """Jain's index of fairness: 1 if all have the same, 1/n if one has all."""
    squares = sum(share * share for share in shares)
    if not squares:
        raise ValueError("nobody has anything to share")
    return sum(shares) ** 2 / (len(shares) * squares)
