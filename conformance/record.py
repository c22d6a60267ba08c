# SPDX-License-Identifier: GPL-2.0-or-later
"""results.json: the last run of each suite.

A row has `suite`, `title`, `source`, `date`, `seconds`, `counts`,
`differences`, `failed_both`, `sockets` (the module's counters during the run
over circuits), `troubles` (why the run is not all right, as sentences),
`machine_stalls_s`, `memory`, and `tests` with both results of each.
"""

import json
import time


def failed(suite, why):
    """The row of a suite that could not run."""
    return {"suite": suite.name, "title": suite.title, "source": suite.source,
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "seconds": 0,
            "note": suite.note, "counts": None, "differences": [],
            "failed_both": [], "sockets": {}, "memory": {}, "tests": {},
            "stale": [], "troubles": [f"it could not run: {why}"]}


class Results:
    """Rows by suite; those of this call replace earlier ones."""

    def __init__(self, path, is_kept=True):
        self.path, self.is_kept = path, is_kept
        self.fresh = []
        self.by_suite = self.read()

    def read(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def put(self, row):
        self.fresh.append(row)
        if self.is_kept:
            # Another call may have added its own meanwhile.
            self.by_suite = {**self.read(), row["suite"]: row}
            self.write(self.path, self.by_suite)
        else:
            self.write(self.path.with_name(f"part-{row['suite']}.json"), row)

    def rows(self):
        return list(self.by_suite.values())

    @staticmethod
    def write(path, what):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n")
