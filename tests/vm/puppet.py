#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's side of a case: executes code that the host sends.

Runs inside a VM (or, to try cases out, in a network namespace). Two processes:

  keeper   owns the port to the host; forks a fresh worker for each case, kills
           it and all it started afterwards, reads counters and kernel log
  worker   executes the case's code in one persistent namespace, filled from
           the helpers below; its main thread runs, its other threads may block

Messages are JSON, one a line: {"op": …} in, {"value": …} or {"error": …} out;
values travel as Python literals, so bytes and tuples survive.

Needs nothing but Python's standard library: it is pushed as a single file.
"""

import argparse
import array
import ast
import ctypes
import errno
import fcntl
import functools
import gc
import hashlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback

STATS = "/proc/net/vmcircuit/stats"
KILL_WAIT_S = 5
DEADLINE_S = 8
SYS_FUTEX = "202"


# --------------------------------------------------------------- for the cases

BLOCK_BYTES = 65520


@functools.lru_cache(maxsize=32)
def block(seed, size):
    return random.Random(seed).randbytes(size)


def pattern(size, seed=0):
    """Bytes that show loss, repetition and reordering."""
    if size < BLOCK_BYTES:
        # An emulated processor needs its time for each: no more than asked,
        # but not a block for each size. A shorter one is how a longer begins.
        made = 64
        while made < size:
            made *= 2
        return (bytes(8) + block(seed, min(made, BLOCK_BYTES)))[:size]
    whole = block(seed, BLOCK_BYTES)
    count = size // (len(whole) + 8) + 1
    return b"".join(index.to_bytes(8, "big") + whole
                    for index in range(count))[:size]


def digest(data):
    return len(data), hashlib.blake2b(data, digest_size=16).hexdigest()


def new_socket(family=None):
    return socket.socket(FAMILY if family is None else family,
                         socket.SOCK_STREAM)


def listen(port=0, host=None, backlog=64, family=None, options=()):
    """A listening socket; by default on SERVER and a port of its own. At others
    an earlier connection may rest in TIME_WAIT, as servers know."""
    sock = new_socket(family)
    if port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, name, value in options:
        sock.setsockopt(level, name, value)
    sock.bind((SERVER if host is None else host, port))
    sock.listen(backlog)
    return sock


def port_of(sock):
    return sock.getsockname()[1]


def connect(port=None, host=None, family=None):
    """A connected socket; by default to the case's listener."""
    sock = new_socket(family)
    sock.connect((SERVER if host is None else host,
                  PORT if port is None else port))
    return sock


def dial(port=None, host=None):
    """A non-blocking socket whose connect has begun, and connect's errno."""
    sock = new_socket()
    sock.setblocking(False)
    return sock, sock.connect_ex((SERVER if host is None else host,
                                  PORT if port is None else port))


def unused_port(host=None):
    """A port that nobody listens on: just given out, and given back."""
    sock = new_socket()
    sock.bind((SERVER if host is None else host, 0))
    return port_of(sock)


def receive(sock, size):
    """Exactly size bytes; fewer only if the stream ends."""
    parts, missing = [], size
    while missing:
        part = sock.recv(min(missing, 1 << 20))
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def read_to_end(sock):
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def fill(sock, chunk=65536):
    """Send without blocking until it would block; return the bytes sent."""
    total, data = 0, pattern(chunk)
    while True:
        try:
            total += sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return total


def fill_stably(sock):
    """Fill until nothing more goes in, though the peer's stack still takes
    over bytes for a while."""
    total, quiet = 0, 0
    while quiet < 4:
        sent = fill(sock)
        total += sent
        quiet = 0 if sent else quiet + 1
        ready(sock, select.POLLOUT, 60)
    return total


def ready(sock, events=select.POLLIN | select.POLLOUT | select.POLLRDHUP |
          select.POLLPRI, timeout_ms=0):
    """What poll() says about one socket."""
    poller = select.poll()
    poller.register(sock, events)
    found = poller.poll(timeout_ms)
    return found[0][1] if found else 0


def wait_ready(sock, events):
    """Wait until poll() tells one of the events; return what it tells."""
    told = ready(sock, events, DEADLINE_S * 1000)
    if not told:
        raise TimeoutError(f"no event of {events:#x} in {DEADLINE_S} s")
    return told


def eventually(condition, deadline_s=DEADLINE_S):
    """Wait until condition() is true, and return what it gave."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"still not true after {deadline_s} s")
        time.sleep(0.001)
    return value


def error_of(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def sent_until_error(sock):
    """Send single bytes until it fails; return the errno."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            sock.send(b"x", socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass
        except OSError as error:
            return error.errno
        time.sleep(0.001)
    raise TimeoutError("sending never failed")


def linger(sock, on, seconds):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", on, seconds))


def ioctl_int(sock, request):
    buffer = array.array("i", [0])
    fcntl.ioctl(sock, request, buffer)
    return buffer[0]


def unread(sock):
    return ioctl_int(sock, termios.FIONREAD)


def timeval(seconds):
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


def timed(call, *arguments):
    """(what the call gave, or its errno; seconds)."""
    begin = time.monotonic()
    try:
        value = call(*arguments)
    except OSError as error:
        value = error.errno
    return value, time.monotonic() - begin


def tcp_state(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[0]


def pair_of_sockets(count=1):
    """Listener, accepted, connected: for cases with both ends here."""
    server = listen()
    client = connect(port_of(server))
    return server, server.accept()[0], client


libc = ctypes.CDLL(None, use_errno=True)
RETURN_LONG = ("read", "write", "recv", "send", "recvfrom", "sendto",
               "recvmsg", "sendmsg", "splice", "tee", "vmsplice", "sendfile",
               "syscall")


def system(name, *arguments):
    """A libc call as it is, without Python's retries; raises on -1."""
    call = getattr(libc, name)
    call.restype = ctypes.c_long if name in RETURN_LONG else ctypes.c_int
    done = call(*arguments)
    if done == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return done


def in_child(function):
    """Run function in a forked child; return its wait status."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = function() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def start(*command, **options):
    """A program in the background, its output in a file."""
    out = open(f"/tmp/program.{len(os.listdir('/tmp'))}", "w+b")
    options.setdefault("stdout", out)
    options.setdefault("stderr", subprocess.STDOUT)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    process.out = out
    return process


def output(process):
    process.out.seek(0)
    return process.out.read().decode(errors="replace")


def program(*command, timeout=30, **options):
    """Run a program to its end: (code, stdout, stderr) as text."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=timeout,
                          capture_output=True, **options)
    return (done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"))


def answers(port, host=None):
    """Whether somebody accepts connections there."""
    try:
        connect(port, host).close()
    except OSError:
        return False
    return True


def stats():
    return read_stats()


# ------------------------------------------------------------------ the worker

def trace_text():
    """The traceback; Python opens files for it, so it may fail itself."""
    try:
        return traceback.format_exc()
    except Exception as error:
        return f"no traceback: {error}"


def plain(value):
    """value as something whose repr() is a literal."""
    if value is None or isinstance(value, (bool, str, bytes)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) \
            else tuple(map(plain, value))
    if isinstance(value, set):
        return set(map(plain, value)) or []
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return None


class Task:
    """Code that runs in a thread of its own."""

    def __init__(self, worker, code):
        self.worker, self.code = worker, code
        self.done, self.started = threading.Event(), threading.Event()
        self.answer = None
        self.thread = threading.Thread(target=self.main, daemon=True)
        self.thread.start()
        self.started.wait()

    def main(self):
        self.tid = threading.get_native_id()
        self.worker.namespace["IDENT"] = threading.get_ident()
        self.started.set()
        self.answer = self.worker.execute(self.code)
        self.done.set()

    def state(self):
        """done, blocked (asleep in a system call other than a futex, which
        is Python's own lock), or running."""
        if self.done.is_set():
            return "done"
        try:
            with open(f"/proc/self/task/{self.tid}/syscall") as file:
                call = file.read().split()[0]
        except OSError:
            return "done" if self.done.wait(1) else "running"
        if call in ("running", "-1", SYS_FUTEX):
            return "running"
        return "blocked"


@functools.cache
def names():
    """What a case's code finds: constants, modules, and the helpers."""
    found = {"__name__": "case"}
    for source in (errno, select, signal, socket, termios):
        for name in dir(source):
            if name.isupper() or name[:1].isupper() and "_" in name:
                found[name] = getattr(source, name)
    found.update({name: value for name, value in globals().items()
                  if not name.startswith("_")})
    return found


class Worker:
    """One process per case: reads requests from its pipe, answers there."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.namespace = dict(names())
        # The helpers see the case's FAMILY, SERVER and PORT as globals.
        self.tasks = []

    def execute(self, code):
        try:
            tree = ast.parse(code)
            last = None
            if tree.body and isinstance(tree.body[-1], ast.Expr):
                last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, "<case>", "exec"), self.namespace)
            value = eval(compile(last, "<case>", "eval"),
                         self.namespace) if last else None
            return {"value": repr(plain(value))}
        except BaseException as error:
            return {"error": type(error).__name__,
                    "errno": getattr(error, "errno", None),
                    "text": str(error), "trace": trace_text()}

    def set(self, values):
        self.namespace.update(values)
        for name in ("FAMILY", "SERVER", "CLIENT", "PORT", "ANY"):
            if name in values:
                globals()[name] = values[name]

    def handle(self, request):
        op = request["op"]
        if "values" in request:
            self.set(ast.literal_eval(request["values"]))
        if op == "run":
            return self.execute(request["code"])
        if op == "spawn":
            self.tasks.append(Task(self, request["code"]))
            return {"value": repr(len(self.tasks) - 1)}
        task = self.tasks[request["task"]]
        if op == "state":
            return {"value": repr(task.state())}
        if op == "join":
            if not task.done.wait(request["limit"]):
                return {"error": "StillRunning", "errno": None, "trace": "",
                        "text": f"'{task.code}' has not ended after "
                        f"{request['limit']} s, it is {task.state()}"}
            return task.answer
        if op == "blocked":
            end = time.monotonic() + request["limit"]
            while (state := task.state()) == "running":
                if time.monotonic() > end:
                    break
                time.sleep(0.001)
            return {"value": repr(state)}
        raise ValueError(op)

    def main(self):
        with self.pipe.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                try:
                    answer = self.handle(request)
                except BaseException as error:
                    answer = {"error": type(error).__name__, "errno": None,
                              "text": str(error),
                              "trace": trace_text()}
                answer["id"] = request["id"]
                self.pipe.sendall(json.dumps(answer).encode() + b"\n")


# ------------------------------------------------------------------ the keeper

def read_stats():
    """The module's counters; empty where there is no module."""
    try:
        with open(STATS) as file:
            pairs = (line.split() for line in file)
            return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
    except OSError:
        return {}


class Keeper:
    def __init__(self, port, log):
        self.port, self.log, self.buffer = port, log, bytearray()
        self.pipe, self.pending = None, None
        self.spare, self.spare_pipe = None, None
        self.is_used = False
        # Orphans of the worker become ours, so that none survives a case.
        libc.prctl(36, 1, 0, 0, 0)

    def fork(self):
        """Fork the worker of the case after this one, in advance."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            if self.pipe:
                self.pipe.close()
            os.close(self.port)
            if self.log is not None:
                os.close(self.log)
            os.setsid()
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            Worker(theirs).main()
            os._exit(0)
        theirs.close()
        self.spare, self.spare_pipe = pid, ours

    def children(self):
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [pid for pid in map(int, file.read().split())
                    if pid != self.spare]

    def kill_all(self):
        """Kill the worker and its descendants. Return who would not die."""
        end = time.monotonic() + KILL_WAIT_S
        if self.pipe:
            self.pipe.close()
        self.pipe = self.pending = None
        while children := self.children():
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            while True:
                try:
                    if os.waitpid(-1, os.WNOHANG)[0] == 0:
                        break
                except ChildProcessError:
                    break
            if time.monotonic() > end:
                return [f"{pid}: {self.where(pid)}" for pid in children]
            time.sleep(0.0005)
        return []

    def where(self, pid):
        parts = []
        for name in ("comm", "wchan", "syscall", "stack"):
            try:
                with open(f"/proc/{pid}/{name}") as file:
                    parts.append(file.read().strip())
            except OSError:
                pass
        return " ".join(parts)

    def kernel_log(self):
        """The kernel's messages since the last call: [(level, text)]."""
        found = []
        while self.log is not None:
            try:
                record = os.read(self.log, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except OSError:     # EPIPE: some were overwritten
                continue
            head, _, text = record.partition(";")
            found.append((int(head.split(",")[0]) & 7,
                          text.split("\n")[0]))
        return found

    def handle(self, request):
        """Requests that the keeper itself answers; None: not one of them."""
        op = request["op"]
        if op == "fresh":
            stuck = []
            # A worker that was asked nothing is as good as the next.
            if self.is_used or not self.pipe:
                stuck = self.kill_all()
                self.pipe, self.spare = self.spare_pipe, None
            self.is_used = False
            return {"value": repr({"stuck": stuck, "stats": read_stats(),
                                   "log": self.kernel_log()})}
        if op == "look":
            return {"value": repr({"stuck": [], "stats": read_stats(),
                                   "log": self.kernel_log()})}
        if op == "write":
            with open(request["path"], "w") as file:
                file.write(request["text"])
            return {"value": "None"}
        if op == "read":
            with open(request["path"]) as file:
                return {"value": repr(file.read())}
        if op == "ping":
            return {"value": repr(request["mark"])}
        return None

    def write(self, data):
        while data:
            try:
                data = data[os.write(self.port, data):]
            except BlockingIOError:
                time.sleep(0.001)

    def answer(self, number, message):
        self.write(json.dumps({"id": number, **message}).encode() + b"\n")

    def take(self, line):
        """One request of the host."""
        request = json.loads(line)
        try:
            answer = self.handle(request)
        except BaseException as error:
            answer = {"error": type(error).__name__, "text": str(error),
                      "errno": getattr(error, "errno", None),
                      "trace": trace_text()}
        if answer is not None:
            self.answer(request["id"], answer)
            if self.spare is None:
                self.fork()
            return
        self.pending, self.is_used = request["id"], True
        try:
            self.pipe.sendall(line + b"\n")
        except (AttributeError, OSError):
            self.lost()

    def lost(self):
        """The worker ended by itself: tell whoever waits for it."""
        if self.pipe:
            self.pipe.close()
        self.pipe = None
        if self.pending is not None:
            self.answer(self.pending, {
                "error": "WorkerDied", "errno": None, "trace": "",
                "text": "the worker process ended"})
        self.pending = None

    def relay(self):
        """An answer of the worker, to the host."""
        try:
            data = self.pipe.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            return self.lost()
        if data.endswith(b"\n"):
            self.pending = None
        self.write(data)

    def main(self):
        # What each worker would make for itself is made once, before they
        # are forked: names, and what Python needs to compile.
        Worker(None).execute("None")
        gc.collect()
        gc.freeze()
        self.fork()
        while True:
            poller = select.poll()
            poller.register(self.port, select.POLLIN)
            if self.pipe:
                poller.register(self.pipe, select.POLLIN)
            for descriptor, events in poller.poll():
                if descriptor != self.port:
                    self.relay()
                    continue
                data = os.read(self.port, 1 << 20) \
                    if events & select.POLLIN else b""
                if not data:
                    time.sleep(0.01)    # nobody at the host's end
                self.buffer += data
                while (end := self.buffer.find(b"\n")) >= 0:
                    line = bytes(self.buffer[:end])
                    del self.buffer[:end + 1]
                    if line:
                        self.take(line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", help="virtio-serial port to serve")
    parser.add_argument("--fd", type=int, help="descriptor to serve instead")
    arguments = parser.parse_args()
    os.environ.setdefault("HOME", "/root")
    if arguments.port:
        port = os.open(arguments.port, os.O_RDWR | os.O_CLOEXEC)
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    else:
        port, log = arguments.fd, None
    Keeper(port, log).main()


if __name__ == "__main__":
    main()
