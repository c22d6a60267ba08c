# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons that outlive the lab command: start, find again, stop.

A pid file alone would let a recycled pid be killed, so a process counts as
ours only if a word of its command line names the file we gave it.
"""

import os
import signal
import subprocess
import time

from lab.report import LabError


def command_line(pid):
    """What a process was started with; "" for a zombie.

    It is empty as well for a moment while the process is in exec(), so an
    empty one is believed only of a process that has ended.
    """
    while True:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read().decode(errors="replace")
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        with open(f"/proc/{pid}/status") as file:
            is_kernel = "\nVmSize:" not in file.read()
        if line or state in "ZX" or is_kernel:
            return line
        time.sleep(0.001)


class Daemon:
    """A background process: pid file, log file, and a word to know it by."""

    def __init__(self, name, pid_file, log_file, mark):
        self.name, self.pid_file = name, pid_file
        self.log_file, self.mark = log_file, str(mark)

    def start(self, command, environment=None):
        """Start the command in a session of its own; output to the log."""
        self.pid_file.unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            # setsid --fork, so that the process is nobody's zombie.
            done = subprocess.run(
                ["setsid", "--fork", "sh", "-c", 'echo $$ >"$0"; exec "$@"',
                 str(self.pid_file), *map(str, command)], cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment)
        if done.returncode:
            raise LabError(f"cannot start {self.name}: setsid failed; look "
                           f"into {self.log_file}")
        end = time.monotonic() + 5
        while not self.pid_file.exists() or not self.pid_file.stat().st_size:
            if time.monotonic() > end:
                raise LabError(f"{self.name} did not start; look into "
                               f"{self.log_file}")
            time.sleep(0.002)

    def pid(self):
        """The pid of the running process, or None."""
        try:
            pid = int(self.pid_file.read_text())
            line = command_line(pid)
        except (OSError, ValueError):
            return None
        return pid if self.mark in line else None

    def signal(self, number, wait_s=10):
        """Send a signal and wait for the end. Return False if not in time."""
        pid = self.pid()
        if pid is None:
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        end = time.monotonic() + wait_s
        while self.pid() is not None:
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def kill(self):
        if not self.signal(signal.SIGKILL):
            raise LabError(f"{self.name} (pid {self.pid()}) survives SIGKILL: "
                           "it hangs in the kernel, look into dmesg")

    def stop(self):
        """Ask it to end; insist after ten seconds. Return if it obeyed."""
        if self.signal(signal.SIGTERM):
            return True
        self.kill()
        return False

    def log(self):
        try:
            return self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""
