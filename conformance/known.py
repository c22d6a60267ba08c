# SPDX-License-Identifier: GPL-2.0-or-later
"""The reviewed list of differences that are known, each with its cause."""

import fnmatch
import tomllib
from dataclasses import dataclass, field

from conformance.suite import ConformanceError
from lab import place

FILE = place.CHECKOUT / "conformance/known.toml"
# limit: circuits are documented to differ. flaky: so they are, but whether it
# shows depends on time. artefact: the test looks at something beside its sockets.
KINDS = ("limit", "flaky", "artefact")


@dataclass
class Known:
    """One entry. test: a name, or a pattern with * and ?."""

    suite: str
    test: str
    kind: str
    cause: str
    seen: list = field(default_factory=list)

    def fits(self, suite, test):
        return suite == self.suite and (
            test == self.test or fnmatch.fnmatchcase(test, self.test))


def load(path=FILE):
    """All entries, checked."""
    entries = []
    for row in tomllib.loads(path.read_text()).get("difference", []):
        try:
            entry = Known(**row)
        except TypeError:
            raise ConformanceError(f"{path.name}: an entry has suite, test, "
                                   f"kind and cause, not {sorted(row)}")
        if entry.kind not in KINDS or not entry.cause.strip():
            raise ConformanceError(f"{path.name}: {entry.test} needs a kind "
                                   f"({', '.join(KINDS)}) and a cause")
        entries.append(entry)
    return entries
