# SPDX-License-Identifier: GPL-2.0-or-later
"""The exec channel: qemu-guest-agent over a virtio-serial port.

The host's end is a pair of fifos, shared by every process of the machine that
talks to this VM. A lock makes each request and its answer one unit; the lock
file is not empty while an answer is due, so that whoever comes after a process
that died in between knows to resynchronise.
"""

import base64
import fcntl
import json
import os
import select
import time
from dataclasses import dataclass

from lab.report import LabError

# The guest agent parses a message byte by byte, and refuses above 64 MiB.
MAX_INPUT_BYTES = 32 << 20
CHUNK_BYTES = 128 << 10
# For each answer. A machine with more guests than processors may need more.
TIMEOUT_S = int(os.environ.get("LAB_AGENT_TIMEOUT", "30"))


class ExecTimeout(LabError):
    """The command ran longer than allowed, and was killed."""


class AgentSilent(LabError):
    """The guest did not answer in time, or its QEMU is gone."""


@dataclass
class Result:
    """What a command in a guest gave: exit code, stdout, stderr (bytes)."""

    rc: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self):
        return self.stdout.decode(errors="replace")

    @property
    def err(self):
        return self.stderr.decode(errors="replace")


class Agent:
    """Talks to the agent of one VM. path is the fifos' common name."""

    def __init__(self, name, path, is_alive):
        self.name, self.path, self.is_alive = name, path, is_alive

    def prepare(self):
        """Make fresh fifos, before QEMU starts."""
        for suffix in (".in", ".out"):
            fifo = f"{self.path}{suffix}"
            if os.path.lexists(fifo):
                os.unlink(fifo)
            os.mkfifo(fifo, 0o600)
        with open(f"{self.path}.lock", "w") as file:
            file.write("fresh")

    def request(self, name, timeout=TIMEOUT_S, **arguments):
        """Send one guest-agent command and return its answer."""
        end = time.monotonic() + timeout
        message = {"execute": name}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        try:
            line = json.dumps(message).encode() + b"\n"
            lock = os.open(f"{self.path}.lock", os.O_RDWR)
        except FileNotFoundError:
            raise self.silent("has never been started")
        try:
            self.lock(lock, end)
            unclean = os.fstat(lock).st_size != 0
            os.pwrite(lock, b"busy", 0)
            answer = self.exchange(line, unclean, end)
            os.ftruncate(lock, 0)
        finally:
            os.close(lock)
        if "error" in answer:
            raise LabError(f"{self.name}: {name} failed in the guest: "
                           f"{answer['error'].get('desc', answer)}")
        return answer["return"]

    def lock(self, lock, end):
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise self.silent("is busy with another request")
                time.sleep(0.001)

    def exchange(self, line, unclean, end):
        """Write a request, read its answer; first discard what is left."""
        try:
            out = os.open(f"{self.path}.out", os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise self.silent("has never been started")
        try:
            # ENXIO if no QEMU has the fifo open.
            into = os.open(f"{self.path}.in", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            os.close(out)
            raise self.silent("is not running")
        try:
            buffer = bytearray()
            if unclean:
                mark = time.monotonic_ns() & 0x7fffffff
                sync = {"execute": "guest-sync-delimited",
                        "arguments": {"id": mark}}
                self.write(into, b"\xff" + json.dumps(sync).encode() + b"\n",
                           end)
                while self.read_line(out, buffer, end, 0xff) != mark:
                    pass
            self.write(into, line, end)
            return self.read_line(out, buffer, end)
        finally:
            os.close(into)
            os.close(out)

    def write(self, file, data, end):
        view = memoryview(data)
        while view:
            self.wait(file, select.POLLOUT, end)
            try:
                view = view[os.write(file, view):]
            except BlockingIOError:
                time.sleep(0.001)

    def read_line(self, file, buffer, end, delimiter=None):
        """Read one JSON line; with delimiter, the first one that follows it,
        and return its value or None if it is no answer to a sync."""
        while True:
            begin = buffer.find(delimiter) + 1 if delimiter else 0
            newline = buffer.find(b"\n", begin)
            if newline >= 0 and (begin or not delimiter):
                text = bytes(buffer[begin:newline])
                del buffer[:newline + 1]
                answer = json.loads(text)
                return answer.get("return") if delimiter else answer
            self.wait(file, select.POLLIN, end)
            try:
                buffer += os.read(file, 1 << 20)
            except BlockingIOError:
                pass

    def wait(self, file, event, end):
        """Wait until file is ready; look now and then if QEMU lives."""
        poll = select.poll()
        poll.register(file, event)
        while True:
            for _, events in poll.poll(200):
                if events & event:
                    return
                time.sleep(0.05)
            if not self.is_alive():
                raise self.silent("has stopped")
            if time.monotonic() > end:
                raise self.silent("does not answer")

    def silent(self, why):
        return AgentSilent(f"{self.name} {why}: see 'lab/lab status' and "
                           f"'lab/lab log {self.name}'")

    def spawn(self, command, data=None, capture=True):
        """Start a command in the guest and return its pid there."""
        if data is not None and len(data) > MAX_INPUT_BYTES:
            raise LabError("input above 32 MiB does not fit the guest agent: "
                           "use 'lab/lab push' and redirect from the file")
        arguments = {"path": "/usr/bin/setsid",
                     "arg": [str(word) for word in command],
                     "capture_output": capture}
        if data:
            arguments["input_data"] = base64.b64encode(data).decode()
        try:
            return self.request("guest-exec", **arguments)["pid"]
        except UnicodeEncodeError:
            raise LabError("arguments must be UTF-8: put other bytes into a "
                           "file and push it")

    def collect(self, pid, timeout, what):
        """Wait for a spawned command and return its Result."""
        begin = time.monotonic()
        while True:
            status = self.request("guest-exec-status", pid=pid)
            if status["exited"]:
                break
            spent = time.monotonic() - begin
            if timeout is not None and spent > timeout:
                self.spawn(["kill", "-KILL", "--", f"-{pid}"], capture=False)
                raise ExecTimeout(f"{self.name}: '{what}' still ran after "
                                  f"{timeout} s and was killed")
            # Seldom for what runs long: each look costs the guest about a
            # millisecond, which would show in a benchmark.
            time.sleep(min(max(spent / 5, 0.005), 0.25))
        if status.get("out-truncated") or status.get("err-truncated"):
            raise LabError(f"{self.name}: '{what}' wrote more than the 16 MiB "
                           "that the guest agent holds: redirect it to a file "
                           "and use 'lab/lab pull'")
        rc = status.get("exitcode", 128 + status.get("signal", 0))
        return Result(rc, base64.b64decode(status.get("out-data", "")),
                      base64.b64decode(status.get("err-data", "")))

    def push(self, data, path):
        handle = self.request("guest-file-open", path=path, mode="w")
        try:
            for begin in range(0, len(data), CHUNK_BYTES):
                chunk = data[begin:begin + CHUNK_BYTES]
                done = self.request("guest-file-write", handle=handle,
                                    buf_b64=base64.b64encode(chunk).decode())
                if done["count"] != len(chunk):
                    raise LabError(f"{self.name}: {path} took only a part: "
                                   "is the guest's memory full?")
        finally:
            self.request("guest-file-close", handle=handle)

    def pull(self, path):
        handle, chunks = self.request("guest-file-open", path=path,
                                      mode="r"), []
        try:
            while True:
                done = self.request("guest-file-read", handle=handle,
                                    count=CHUNK_BYTES)
                chunks.append(base64.b64decode(done["buf-b64"]))
                if done["eof"]:
                    return b"".join(chunks)
        finally:
            self.request("guest-file-close", handle=handle)
