# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured: rows, each the runs of one figure, and results.json.

A row has `bench`, `subject`, `metric`, `size`, `connections`, `unit`, `kind`
("figure" or "cost"), `better` ("more" or "less"), `runs`, `median`, `min` and
`max`; beside a baseline `versus` and `ratio_median`; and with a limit `limit`,
`limit_median` and `limit_share`. Nothing but what was measured gets into it.
"""

import json

from bench import figure

KEYS = ("bench", "subject", "metric", "size", "connections")


class Results:
    """Collects runs; rows() gives them with their statistics."""

    def __init__(self):
        self.rows_by_key = {}
        # What a peer cannot do here, and what went wrong.
        self.missing, self.failures = [], []
        # Processors that others used, one number a run.
        self.disturbances = []

    def add(self, bench, subject, metric, value, unit, size=None,
            connections=None, better="more", kind="figure", baseline=None,
            limit=None):
        """Note one run. baseline: the subject that ratios are to."""
        key = (bench, subject, metric, size, connections)
        row = self.rows_by_key.setdefault(key, {
            **dict(zip(KEYS, key)), "unit": unit, "kind": kind,
            "better": better, "runs": [], "versus": baseline, "limit": limit})
        row["runs"].append(value)

    def find(self, **wanted):
        """The rows that have these values."""
        return [row for row in self.rows()
                if all(row[key] == value for key, value in wanted.items())]

    def rows(self):
        return [self.finished(row) for row in self.rows_by_key.values()]

    def finished(self, raw):
        row = {**raw, **figure.summary(raw["runs"])}
        for key in ("versus", "limit"):
            if not row[key]:
                del row[key]
        self.compare(row)
        self.confine(row)
        return row

    def compare(self, row):
        """The ratio to the baseline, if that was measured as often."""
        versus = row.get("versus")
        other = self.rows_by_key.get((row["bench"], versus, row["metric"],
                                      row["size"], row["connections"]))
        ratio = None
        if versus != row["subject"] and other and \
                len(other["runs"]) == len(row["runs"]):
            ratio = figure.ratio_median(row["runs"], other["runs"])
        if ratio is None:
            row.pop("versus", None)
        else:
            row["ratio_median"] = ratio

    def confine(self, row):
        """The share of the limit: of the same measurement by a subject, or
        of a row of bench "limit", as (place, metric)."""
        name = row.get("limit")
        if isinstance(name, str):
            key = (row["bench"], name, *(row[one] for one in KEYS[2:]))
            name = (name, row["metric"])
        else:
            key = ("limit", *name, None, None) if name else None
        other = self.rows_by_key.get(key)
        if not other or other["subject"] == row["subject"] or \
                other["unit"] != row["unit"]:
            row.pop("limit", None)
            return
        median = figure.summary(other["runs"])["median"]
        row["limit"] = ": ".join(name)
        row["limit_median"] = median
        row["limit_share"] = row["median"] / median

    def disturbance(self):
        """Processors that others used during runs: median and maximum."""
        if not self.disturbances:
            return None
        whole = figure.summary(self.disturbances)
        return {"unit": "processors", "median": round(whole["median"], 2),
                "max": round(whole["max"], 2)}

    def write(self, path, about):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(
            {**about, "disturbance": self.disturbance(),
             "results": self.rows(), "missing": self.missing,
             "failures": self.failures},
            indent=1, ensure_ascii=False) + "\n")


class Recorded(Results):
    """What results.json has, to be shown again. about: all but the rows."""

    def __init__(self, path):
        super().__init__()
        self.about = json.loads(path.read_text())
        self.recorded = self.about.pop("results")
        self.recorded_disturbance = self.about.pop("disturbance")
        self.missing = self.about.pop("missing")
        self.failures = self.about.pop("failures")

    def rows(self):
        return self.recorded

    def disturbance(self):
        return self.recorded_disturbance
