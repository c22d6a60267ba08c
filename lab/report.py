# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab says to people: errors and progress, always on stderr.

stdout belongs to the command's result, so that ``lab exec`` can be piped.
"""

import os
import sys
import time


class LabError(Exception):
    """A failure told in one sentence that says what to do next."""


def colour(text, code):
    """Return text in a colour when stderr is a terminal."""
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        return f"\033[{code}m{text}\033[0m"
    return text


def say(text):
    print(f"{colour('lab:', '36')} {text}", file=sys.stderr, flush=True)


def warn(text):
    print(f"{colour('lab: warning:', '33')} {text}", file=sys.stderr,
          flush=True)


def fail(text):
    print(f"{colour('lab: error:', '31')} {text}", file=sys.stderr, flush=True)


class Step:
    """A named stretch of work: prints its start, and its time at the end."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.begin = time.monotonic()
        say(f"{self.what} …")
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            say(f"{self.what}: {time.monotonic() - self.begin:.1f} s")
