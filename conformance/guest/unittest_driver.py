# SPDX-License-Identifier: GPL-2.0-or-later
"""Run modules of CPython's test suite in the guest, test by test.

    unittest_driver.py OUT SECONDS MODULE[:REGEX]

The tests run in a child, which writes a line of JSON to OUT when one begins
and when it ends. The parent sees whether lines come: a test that takes longer
than SECONDS, or takes its process with it, is a result, and the next child
goes on behind it. REGEX: only tests whose names it finds.
"""

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

# No sound, no windows. "network" is asked for by tests that only use this
# machine, too; beyond it nothing answers, and tests skip or fail twice.
RESOURCES = dict.fromkeys(("cpu", "largefile", "network", "subprocess",
                           "walltime"))


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Lines(unittest.TestResult):
    """Writes what happens, as it happens."""

    def __init__(self, out):
        super().__init__()
        self.out, self.failed, self.skipped_why = out, [], None
        self.begin = time.monotonic()

    def write(self, **line):
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.failed, self.skipped_why = [], None
        self.begin = time.monotonic()
        self.write(begin=test.id())

    def stopTest(self, test):
        super().stopTest(test)
        result = "fail" if self.failed else \
            "skip" if self.skipped_why is not None else "pass"
        self.write(test=test.id(), result=result,
                   seconds=round(time.monotonic() - self.begin, 3),
                   said="\n".join(self.failed) or self.skipped_why or "")

    def fail(self, test, error):
        text = "".join(traceback.format_exception(*error))
        if isinstance(test, unittest.TestCase):
            self.failed.append(text)
        else:
            # setUpClass() or setUpModule(): no test has begun.
            self.write(test=test.id(), result="fail", seconds=0, said=text)

    def addError(self, test, error):
        super().addError(test, error)
        self.fail(test, error)

    addFailure = fail

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.failed.append(f"{subtest}: " + "".join(
                traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skipped_why = reason
        if not isinstance(test, unittest.TestCase):
            self.write(test=test.id(), result="skip", seconds=0, said=reason)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.skipped_why = "expected to fail"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)


def tests_of(name):
    module, _, pattern = name.partition(":")
    loaded = flat(unittest.defaultTestLoader.loadTestsFromName(module))
    return [test for test in loaded
            if not pattern or re.search(pattern, test.id())]


def child(out, name, nr_done):
    faulthandler.enable()
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    from test import support
    support.use_resources = RESOURCES
    with open(out, "a") as file:
        tests = tests_of(name)[nr_done:]
        result = Lines(file)
        unittest.TestSuite(tests).run(result)
        result.write(end=True)
    # Threads that a test left behind must not hold this one.
    os._exit(0)


class Watcher:
    """Reads what children write."""

    def __init__(self, out, limit, name):
        self.out, self.limit, self.name = out, limit, name
        self.nr_done, self.current, self.is_over = 0, None, False
        self.position, self.stamp = 0, time.monotonic()
        self.errors = tempfile.TemporaryFile()

    def read(self):
        with open(self.out, "rb") as file:
            file.seek(self.position)
            # A line may be half written.
            whole = file.read().rpartition(b"\n")[0]
        self.position += len(whole) + bool(whole)
        for line in map(json.loads, whole.splitlines()):
            self.stamp = time.monotonic()
            if "begin" in line:
                self.current = line["begin"]
                self.nr_done += 1
            elif line.get("test") == self.current:
                self.current = None
            self.is_over |= "end" in line

    def write(self, result):
        self.errors.seek(0)
        said = self.errors.read()[-3000:].decode(errors="replace")
        with open(self.out, "a") as file:
            file.write(json.dumps({
                "test": self.current or f"{self.name} (between its tests)",
                "result": result, "said": said,
                "seconds": round(time.monotonic() - self.stamp, 3)}) + "\n")

    def run_child(self):
        """To its end; False if it had to be stopped or crashed at once."""
        before = self.nr_done
        self.errors.truncate(0)
        self.stamp = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            process = subprocess.Popen(
                [sys.executable, __file__, "--child", self.out, self.name,
                 str(self.nr_done)], cwd=directory, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=self.errors)
            while process.poll() is None:
                self.read()
                if time.monotonic() - self.stamp > self.limit:
                    process.send_signal(signal.SIGQUIT)
                    time.sleep(1)
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    self.read()
                    self.write("hang")
                    break
                time.sleep(0.25)
            else:
                self.read()
                if not self.is_over:
                    self.write("crash")
            self.read()
        return self.nr_done > before

    def run(self):
        while not self.is_over:
            self.current = None
            if not self.run_child():
                break


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    open(sys.argv[1], "w").close()
    Watcher(sys.argv[1], float(sys.argv[2]), sys.argv[3]).run()
