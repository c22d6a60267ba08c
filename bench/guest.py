# SPDX-License-Identifier: GPL-2.0-or-later
"""Where measured programs run: a guest, or the host.

In a guest there are two cgroups. Sockets of the one are redirected to circuits,
those of the other are the kernel's own TCP, untouched; so both kinds of
programs run beside each other and nothing is switched between turns.
"""

import subprocess
import time

from lab import buildtree
from lab.hypervisor import program

CIRCUITS, PLAIN = "circuits", "plain"
# Returns when they are gone, so that their ports are free.
KILL = ('for pid; do while kill -KILL -- "-$pid"; do sleep 0.02; done; '
        "done 2>/dev/null; true")
# Of programs that stay, the last words are kept.
SERVE = ('echo $$ >"/sys/fs/cgroup/$0/cgroup.procs" && log=$1 && shift && '
         'exec "$@" >"$log" 2>&1')
ENTER = 'echo $$ >"/sys/fs/cgroup/$0/cgroup.procs" && exec "$@"'
# States of sockets in /proc/net: LISTEN of TCP, bound of UDP.
WAITING = ("0A", "07")


class BenchError(Exception):
    """A benchmark could not run, told in one sentence."""


def checked(words, code, out, err):
    """The output of a program, which must have succeeded."""
    if code:
        said = (err or out).strip()[-400:]
        raise BenchError(f"'{' '.join(map(str, words))}' ended with {code}: "
                         f"{said}")
    return out


class Guest:
    """A VM of the lab, as a place to run programs."""

    def __init__(self, vm):
        self.vm, self.name = vm, vm.name
        self.servers = []

    def prepare(self, programs):
        """Make the cgroups, limit the redirect to one, bring programs."""
        self.run("sh", "-c", "cd /sys/fs/cgroup && "
                 f"mkdir -p {CIRCUITS} {PLAIN}")
        self.run("vmcircuit", "up", "--cgroup", CIRCUITS)
        for path in programs:
            self.vm.push(path, f"/usr/local/bin/{path.name}")

    def run(self, *words, group=None, timeout=60, input=None):
        """Run a program to its end; return what it wrote to stdout."""
        words = [str(word) for word in words]
        command = ["sh", "-c", ENTER, group, *words] if group else words
        done = self.vm.exec(command, timeout=timeout, input=input)
        return checked([f"{self.name}:", *words], done.rc, done.out, done.err)

    def stderr_of(self, *words, group=None, timeout=60):
        """As run(), for programs that report on stderr."""
        command = ["sh", "-c", ENTER, group, *map(str, words)]
        done = self.vm.exec(command, timeout=timeout)
        checked([f"{self.name}:", *words], done.rc, done.out, done.err)
        return done.err

    def serve(self, *words, group=PLAIN, port=None, timeout=30):
        """Start a server that stays until stop(); wait until it listens."""
        pid = self.vm.spawn(["sh", "-c", SERVE, group,
                             self.log_path(words[0], port),
                             *map(str, words)])
        self.servers.append(pid)
        if port:
            self.wait_listening(port, timeout)
        return pid

    @staticmethod
    def log_path(program_name, port=None):
        """Where a server's output is, in the guest."""
        return f"/tmp/{program_name.rpartition('/')[2]}-{port}.log"

    def wait_listening(self, port, timeout=30):
        # Listeners of circuits have a shadow in the kernel's own tables.
        local = f":{int(port):04X}"
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            table = self.run("cat", *(f"/proc/net/{name}" for name in
                                      ("tcp", "tcp6", "udp", "udp6")))
            rows = [line.split() for line in table.splitlines()]
            if any(row[1].endswith(local) and row[3] in WAITING
                   for row in rows):
                return
            time.sleep(0.1)
        raise BenchError(f"nobody listens on port {port} in {self.name}")

    def wait_end(self, pid):
        """Wait until a server has ended by itself."""
        self.run("tail", f"--pid={pid}", "-f", "/dev/null")
        self.servers.remove(pid)

    def stop(self):
        """End the servers, with all that they started."""
        if self.servers:
            # Each is the leader of a session; what is gone is no fault.
            self.run("sh", "-c", KILL, "sh", *self.servers)
        self.servers = []


class Host:
    """The machine itself. prefix: words for the namespace to be in."""

    name = "host"

    def __init__(self, prefix=()):
        self.prefix, self.tree = list(prefix), buildtree.ensure()
        self.servers = []

    def words(self, words):
        """Debian 13's programs run by their own linker, ours as they are."""
        if "/" in str(words[0]):
            return [*self.prefix, *map(str, words)]
        return [*self.prefix, *map(str, program(self.tree, words[0])),
                *map(str, words[1:])]

    def run(self, *words, group=None, timeout=60):
        try:
            done = subprocess.run(self.words(words), capture_output=True,
                                  text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise BenchError(f"'{words[0]}' on the host still ran after "
                             f"{timeout} s")
        return checked(["host:", *words], done.returncode, done.stdout,
                       done.stderr)

    def serve(self, *words, port, timeout=10):
        self.servers.append(subprocess.Popen(
            self.words(words), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            table = subprocess.run([*self.prefix, "ss", "-Hltun"], text=True,
                                   capture_output=True, check=True).stdout
            if f":{port} " in table:
                return
            time.sleep(0.05)
        raise BenchError(f"nobody listens on port {port} on the host")

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.servers = []
