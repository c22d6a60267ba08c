# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of the cases: guests, their puppets, and where they run.

A world is a set of guests whose sockets reach each other over one transport:

  circuit   VMs of the lab without a network card: the thing under test
  tcp       the same VMs over virtio-net: Linux' own TCP says what is right
  host      two network namespaces of this machine: the same, without VMs, to
            try a case out in milliseconds
"""

import ast
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
ANSWER_S = 20

# What a sound kernel never says, at any level.
ALARM = re.compile(
    r"WARNING:|BUG:|Oops|refcount|possible (recursive|circular|deadlock)|"
    r"general protection|Call Trace|KASAN|KCSAN|UBSAN|hung task|"
    r"blocked for more than|soft lockup|RCU.*stall|leaked|use-after-free|"
    r"Attempt to release|Unable to handle|double free|Kernel panic|list_(add|del) corruption")


class GuestError(Exception):
    """Code in a guest raised; number is its errno or None."""

    def __init__(self, guest, code, answer):
        self.kind, self.number = answer["error"], answer["errno"]
        self.text = answer["text"]
        trace = "\n".join("    " + line for line in
                          answer.get("trace", "").splitlines()[-12:])
        super().__init__(f"{guest}: {self.kind}: {self.text}\n"
                         f"  in: {code}\n{trace}")


class Silence(Exception):
    """A guest did not answer in time."""


class Puppet:
    """A guest's puppet, over a connected socket."""

    def __init__(self, name, sock):
        self.name, self.sock, self.buffer = name, sock, bytearray()
        self.numbers, self.values = itertools.count(1), {}

    def ask(self, op, timeout=ANSWER_S, **request):
        return self.hear(*self.send(op, timeout, **request))

    def send(self, op, timeout=ANSWER_S, **request):
        """Send a request; hear() takes what this returns."""
        number = next(self.numbers)
        request.update(op=op, id=number)
        if self.values and op in ("run", "spawn"):
            request["values"], self.values = repr(self.values), {}
        try:
            self.sock.settimeout(timeout)
            self.sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise Silence(f"{self.name}: {error}")
        return request, timeout

    def hear(self, request, timeout):
        number, op = request["id"], request["op"]
        end = time.monotonic() + timeout
        while True:
            newline = self.buffer.find(b"\n")
            if newline >= 0:
                line = bytes(self.buffer[:newline])
                del self.buffer[:newline + 1]
                answer = json.loads(line)
                if answer["id"] == number:  # else of a request given up
                    break
                continue
            left = end - time.monotonic()
            if left <= 0:
                raise Silence(f"{self.name} has not answered "
                              f"{request.get('code', op)!r} in {timeout} s")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 20)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                raise Silence(f"{self.name}: its port is closed")
            self.buffer += data
        if "error" in answer:
            raise GuestError(self.name, request.get("code", op), answer)
        return ast.literal_eval(answer["value"])


class Task:
    """Code that runs in a guest while the case goes on."""

    def __init__(self, guest, code):
        self.guest, self.code = guest, code
        self.number = guest.puppet.ask("spawn", code=code)

    def join(self, timeout=10):
        """What the code gave, or its exception."""
        return self.guest.puppet.ask("join", timeout + 5, task=self.number,
                                     limit=timeout, code=self.code)

    def errno(self, timeout=10):
        """The errno with which the code must end."""
        return self.guest.errno_by(lambda: self.join(timeout), self.code)

    def is_done(self):
        return self.guest.puppet.ask("state", task=self.number) == "done"

    def block(self):
        """Wait until the thread sleeps in the kernel; fail if it ends."""
        state = self.guest.puppet.ask("blocked", task=self.number, limit=8)
        assert state == "blocked", \
            f"{self.guest.name}: '{self.code}' should block, but it is {state}"
        return self

    def assert_blocked(self):
        self.block()


class Guest:
    """One VM (or namespace) as the cases see it."""

    def __init__(self, number, name, v4, v6, puppet=None, vm=None):
        self.number, self.name, self.vm = number, name, vm
        self.v4, self.v6, self.puppet = v4, v6, puppet
        self.stats, self.expected = {}, []

    def address(self, family):
        return self.v4 if family == "inet" else self.v6

    def run(self, code, timeout=ANSWER_S):
        return self.puppet.ask("run", timeout, code=code)

    def spawn(self, code):
        return Task(self, code)

    def errno(self, code, timeout=ANSWER_S):
        """Run code, which must fail; return the errno."""
        return self.errno_by(lambda: self.run(code, timeout), code)

    def errno_by(self, call, code):
        try:
            value = call()
        except GuestError as error:
            if error.number is None:
                raise
            return error.number
        raise AssertionError(f"{self.name}: '{code}' should fail, "
                             f"but gave {value!r}")

    def set(self, **values):
        """Give the helpers values; they travel with the next request."""
        self.puppet.values.update(values)

    def write(self, path, text):
        self.puppet.ask("write", path=path, text=text)

    def look(self, sent=None):
        """Take counters and kernel log; return (risen counters, news)."""
        news = self.puppet.hear(*sent) if sent else self.puppet.ask("look")
        before, self.stats = self.stats, news["stats"]
        risen = {name: value - before.get(name, 0)
                 for name, value in self.stats.items()}
        return risen, news

    def fresh(self):
        """Ask for the end of the case's processes; look() takes it."""
        self.puppet.values = {}
        return self.puppet.send("fresh")

    def tell(self, pattern):
        """The case expects kernel log lines that match pattern."""
        self.expected.append(re.compile(pattern))

    def faults(self, news):
        """What must not be in the news of a case."""
        found = [f"{self.name}: a process would not die: {line}"
                 for line in news["stuck"]]
        for level, text in news["log"]:
            if any(pattern.search(text) for pattern in self.expected):
                continue
            if ALARM.search(text) or level <= 3 or \
                    level == 4 and "vmcircuit" in text:
                found.append(f"{self.name}: kernel log: {text}")
        return found


def wait_until(condition, what, deadline_s=10):
    """Wait until condition() is true; fail with what."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"after {deadline_s} s, not: {what}"
        time.sleep(0.005)
    return value


def attach(name, path, deadline_s=90):
    """A puppet behind a VM's virtio-serial port (a unix socket here)."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    puppet = Puppet(name, sock)
    end = time.monotonic() + deadline_s
    while True:
        try:
            mark = os.urandom(4).hex()
            assert puppet.ask("ping", 1, mark=mark) == mark
            return puppet
        except Silence:
            if time.monotonic() > end:
                raise


# Lines of the switch's log that a case must expect, see World.tell(). That some
# were left out is said with the next of their kind, perhaps in a later case;
# those that were not left out were looked at.
SWITCH_ALARM = re.compile(r"^<[0-4]>|vmcircuitd: (error|warning):|Sanitizer|"
                          r"runtime error|assert", re.IGNORECASE)
# Counters of trouble; own_proof cases look at them themselves.
TROUBLE = ("lies", "switch_lost")


class World:
    """Guests, and what each case must leave behind in them."""

    def __init__(self, transport):
        self.transport = transport
        self.circuit = transport == "circuit"
        self.guests, self.local = [], set()
        self.expected, self.trouble, self.log_seen = [], (), 0

    def switch_log(self):
        return ""

    def consoles(self):
        return []

    def tell(self, pattern):
        """The case expects lines in the switch's log that match pattern."""
        self.expected.append(re.compile(pattern))

    def set_local(self, on):
        """Whether connections within a VM are circuits too."""
        if not self.circuit:
            return
        for guest in self.guests:
            if on != (guest in self.local):
                guest.write("/proc/sys/net/vmcircuit/local", "01"[on])
                (self.local.add if on else self.local.discard)(guest)

    def heal(self):
        """Bring back what a case has ended, before the next."""

    def begin(self):
        self.heal()
        self.expected.clear()
        self.trouble = ()
        for guest in self.guests:
            guest.expected.clear()
        self.open_before = {guest: guest.stats.get("circuits_open", 0)
                            for guest in self.guests}

    def end(self, node):
        """End the case's processes; return what is wrong, as sentences."""
        faults, risen = [], {}
        # Ask all before hearing any: they clean up at the same time.
        alive = [guest for guest in self.guests if self.is_alive(guest)]
        sent = [(guest, guest.fresh()) for guest in alive]
        for guest, request in sent:
            try:
                counters, news = guest.look(request)
            except Silence as silence:
                faults.append(str(silence))
                continue
            faults += guest.faults(news)
            for name, value in counters.items():
                risen[name] = risen.get(name, 0) + value
        if self.circuit:
            faults += self.leaks(alive)
            if not node.get_closest_marker("own_proof"):
                faults += self.proof(node, risen)
        faults += self.switch_faults()
        return faults

    def is_alive(self, guest):
        """Whether the guest runs; a case may have ended it."""
        return True

    def leaks(self, guests):
        """Circuits that outlive their case."""
        faults, end = [], time.monotonic() + 5
        for guest in guests:
            before = self.open_before[guest]
            while guest.stats.get("circuits_open", 0) > before:
                if time.monotonic() > end:
                    faults.append(
                        f"{guest.name}: {guest.stats['circuits_open']} "
                        f"circuits still open, {before} before the case")
                    break
                time.sleep(0.005)
                try:
                    _, news = guest.look()
                except Silence as silence:
                    faults.append(str(silence))
                    break
                faults += guest.faults(news)
        return faults

    def proof(self, node, risen):
        """Were the case's sockets really circuits?"""
        if not any(name.startswith("circuits_") for name in risen):
            return ["no counters in /proc/net/vmcircuit/stats"]
        # Either end tells: the other's machine may be dead by now.
        made = max(risen.get("circuits_connected", 0),
                   risen.get("circuits_accepted", 0))
        fallen = {name: value for name, value in risen.items()
                  if name.startswith("fallback") and value}
        faults = [f"{name} rose by {risen[name]}" for name in TROUBLE
                  if risen.get(name) and name not in self.trouble]
        if node.get_closest_marker("no_circuit"):
            if made:
                faults.append(f"{made} circuits in a case that connects "
                              "nothing")
        elif not made:
            marker = node.get_closest_marker("fallback")
            if marker is None:
                faults.append("the case's sockets were no circuits")
        allowed = node.get_closest_marker("fallback")
        for name, value in fallen.items():
            if allowed is None or allowed.args and \
                    name not in allowed.args:
                faults.append(f"{name} rose by {value}")
        return faults

    def switch_faults(self):
        log = self.switch_log()
        # A restarted world begins a new log.
        news = log[self.log_seen:] if len(log) >= self.log_seen else log
        self.log_seen = len(log)
        return [f"the switch's log: {line}" for line in news.splitlines()
                if SWITCH_ALARM.search(line) and
                not line.endswith("similar lines were left out") and
                not any(pattern.search(line) for pattern in self.expected)]

    def evidence(self):
        """Logs for the report of a failed case."""
        found = [(f"console of {name}", "\n".join(text.splitlines()[-25:]))
                 for name, text in self.consoles()]
        log = self.switch_log()
        if log:
            found.append(("switch's log", "\n".join(log.splitlines()[-25:])))
        for guest in self.guests:
            if guest.stats:
                found.append((f"counters of {guest.name}", " ".join(
                    f"{name}={value}" for name, value in
                    guest.stats.items() if value)))
        return found


class HostWorld(World):
    """Two network namespaces, joined by a veth pair."""

    def __init__(self):
        super().__init__("host")
        self.names = [f"vmct{os.getpid()}-{n}" for n in (1, 2)]
        self.processes = []

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True)

    def start(self):
        for name in self.names:
            self.ip("netns", "add", name)
        self.ip("link", "add", "eth0", "netns", self.names[0], "type", "veth",
                "peer", "name", "eth0", "netns", self.names[1])
        for number, name in enumerate(self.names, 1):
            v4, v6 = f"10.79.0.{number}", f"fd79::{number}"
            self.ip("-n", name, "addr", "add", f"{v4}/24", "dev", "eth0")
            self.ip("-n", name, "addr", "add", f"{v6}/64", "dev", "eth0",
                    "nodad")
            for device in ("lo", "eth0"):
                self.ip("-n", name, "link", "set", device, "up")
            ours, theirs = socket.socketpair()
            self.processes.append(subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable,
                 HERE / "puppet.py", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()]))
            theirs.close()
            self.guests.append(Guest(number, f"vm{number}", v4, v6,
                                     Puppet(f"vm{number}", ours)))
            self.guests[-1].look(self.guests[-1].fresh())

    def stop(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name])
