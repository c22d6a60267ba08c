# SPDX-License-Identifier: GPL-2.0-or-later
"""What a suite is, and what one test of it gave."""

import re
from dataclasses import dataclass

PASS, FAIL, SKIP, HANG, CRASH = "pass", "fail", "skip", "hang", "crash"
# A test that one of the two runs does not have.
MISSING = "missing"
SAID_BYTES = 3000


class ConformanceError(Exception):
    """A suite could not run, told in one sentence."""


@dataclass
class Outcome:
    """One test's end. said: the last it wrote, where that matters."""

    test: str
    result: str
    seconds: float = 0.0
    said: str = ""

    def __post_init__(self):
        if self.result in (PASS, SKIP):
            self.said = self.said[-300:] if self.result == SKIP else ""
        self.said = self.said.strip()[-SAID_BYTES:]


class Suite:
    """Somebody's tests.

    name: to be called by; if there is a script of that name in build/, what
    it makes is in the guest below DISK. title: for people. source: the Debian
    packages it comes from. note: what a reader of the report has to know.
    only: a regular expression, to run some parts only.
    """

    name = title = source = note = ""
    only = None

    def wants(self, part):
        return not self.only or re.search(self.only, part)

    def prepare(self, guest):
        """Make the guest ready, once after its start."""

    def run(self, guest, tell):
        """Yield the Outcome of each test. tell(text): say how it goes."""
        raise NotImplementedError


def of_job(test, done):
    """The Outcome of a test that is one program."""
    if done.is_hang:
        result = HANG
    elif done.code > 128:
        result = CRASH
    elif done.code:
        result = FAIL
    else:
        result = PASS
    return Outcome(test, result, done.seconds, done.output)


TAP = re.compile(r"^\s*(?:# )?(not ok|ok)\s+(\d+)?\s*-?\s*([^#]*?)\s*"
                 r"(?:#\s*(SKIP|TODO|XFAIL)\b.*)?$", re.I)


def of_tap(program, done):
    """The Outcomes in the output of a program that writes TAP.

    Tests have their descriptions for names, with a number where those repeat.
    The program itself is a test, too: that it comes to its end.
    """
    seen = {}
    for line in done.output.splitlines():
        match = TAP.match(line)
        if not match:
            continue
        word, number, text, directive = match.groups()
        name = text or f"{number}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name} ({seen[name]})"
        result = PASS if word.lower() == "ok" else FAIL
        if directive:
            # What is expected to fail tells nothing.
            result = SKIP
        yield Outcome(f"{program}: {name}", result, 0,
                      "" if result == PASS else line)
    yield of_job(program, done)
