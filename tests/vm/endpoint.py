# SPDX-License-Identifier: GPL-2.0-or-later
"""libvmcircuit's endpoints in Python, for processes of the host.

As a program it is one that can be killed: it reads Python from stdin, a line
each, with `endpoint` open, and answers each with its value.
"""

import ast
import contextlib
import ctypes
import errno
import os
import pathlib
import socket
import struct
import subprocess
import sys

WAIT_DATA, WAIT_SPACE = 1, 2
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def load(path):
    library = ctypes.CDLL(path)
    for name in ("vmc_send", "vmc_recv", "vmc_peek", "vmc_reserve"):
        getattr(library, name).restype = ctypes.c_ssize_t
    library.vmc_events.restype = ctypes.c_short
    library.vmc_unlisten.restype = None
    return library


def checked(value):
    """What a call gave, or its errno as OSError."""
    if value < 0:
        raise OSError(-value, os.strerror(-value))
    return value


def packed(host, port):
    """(struct sockaddr, its length)."""
    if ":" in host:
        raw = struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0,
                          socket.inet_pton(socket.AF_INET6, host), 0)
    else:
        raw = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port),
                          socket.inet_aton(host))
    return raw, len(raw)


def unpacked(raw):
    family, port = struct.unpack_from("=HH", raw)
    host = (socket.inet_ntop(family, raw[8:24]) if family == socket.AF_INET6
            else socket.inet_ntoa(raw[4:8]))
    return host, socket.ntohs(port)


class Connection:
    """A connection of an endpoint."""

    def __init__(self, library, pointer):
        self.library, self.pointer = library, pointer

    def send(self, data, timeout_ms=10000):
        return checked(self.library.vmc_send(
            self.pointer, data, ctypes.c_size_t(len(data)), timeout_ms))

    def recv(self, size, timeout_ms=10000):
        room = ctypes.create_string_buffer(size)
        got = checked(self.library.vmc_recv(
            self.pointer, room, ctypes.c_size_t(size), timeout_ms))
        return room.raw[:got]

    def receive(self, size):
        """Exactly so many bytes, or fewer at the end of the stream."""
        parts, have = [], 0
        while have < size:
            part = self.recv(min(size - have, 1 << 18))
            if not part:
                break
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def read_to_end(self):
        return self.receive(1 << 62)

    def reserve(self, size):
        """Address of room and how much there is."""
        span = ctypes.c_void_p()
        return span, checked(self.library.vmc_reserve(
            self.pointer, ctypes.c_size_t(size), ctypes.byref(span)))

    def commit(self, size):
        checked(self.library.vmc_commit(self.pointer, ctypes.c_size_t(size)))

    def wait(self, what, timeout_ms=10000):
        return checked(self.library.vmc_wait(self.pointer, what, timeout_ms))

    def fd(self):
        return checked(self.library.vmc_fd(self.pointer))

    def events(self, what):
        return self.library.vmc_events(self.pointer, what)

    def shutdown(self):
        checked(self.library.vmc_shutdown(self.pointer))

    def close(self):
        if self.pointer:
            checked(self.library.vmc_detach(self.pointer))
        self.pointer = None


class Listener:
    """Where an endpoint listens."""

    def __init__(self, endpoint, pointer):
        self.endpoint, self.pointer = endpoint, pointer

    def accept(self, timeout_ms=10000):
        """(connection, name of who dialled)."""
        name = ctypes.create_string_buffer(128)
        connection = self.endpoint.made(lambda pointer: self.endpoint.library
                                        .vmc_accept(self.pointer, timeout_ms,
                                                    name, pointer))
        return connection, unpacked(name.raw)

    def close(self):
        if self.pointer:
            self.endpoint.library.vmc_unlisten(self.pointer)
        self.pointer = None


class Endpoint:
    """This process as an endpoint; closes all it has with close()."""

    def __init__(self, library, path):
        self.library = load(library)
        self.pointer = ctypes.c_void_p()
        self.owned = []
        checked(self.library.vmc_endpoint_open(
            os.fsencode(path), ctypes.byref(self.pointer)))

    def made(self, call):
        pointer = ctypes.c_void_p()
        checked(call(ctypes.byref(pointer)))
        connection = Connection(self.library, pointer)
        self.owned.append(connection)
        return connection

    def dial(self, host, port, timeout_ms=10000):
        return self.made(lambda pointer: self.library.vmc_dial(
            self.pointer, *packed(host, port), timeout_ms, pointer))

    def listen(self, host, port):
        pointer = ctypes.c_void_p()
        checked(self.library.vmc_listen(self.pointer, *packed(host, port),
                                        ctypes.byref(pointer)))
        listener = Listener(self, pointer)
        self.owned.append(listener)
        return listener

    def close(self):
        for thing in self.owned:
            thing.close()
        checked(self.library.vmc_endpoint_close(self.pointer))


class Process:
    """An endpoint in a process of its own."""

    def __init__(self, library, path):
        self.child = subprocess.Popen(
            [sys.executable, __file__, library, path], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, line):
        self.child.stdin.write(line.replace("\n", "; ") + "\n")
        self.child.stdin.flush()
        return ast.literal_eval(self.child.stdout.readline())

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        self.child.stdin.close()
        self.child.wait(20)


def errno_of(call, *arguments):
    """The errno that a call fails with."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    raise AssertionError(f"{call.__name__} did not fail")


def main():
    names = {"endpoint": Endpoint(*sys.argv[1:]), "errno": errno}
    for line in sys.stdin:
        *statements, last = ast.parse(line).body
        exec(compile(ast.Module(statements, []), "case", "exec"), names)
        if not isinstance(last, ast.Expr):
            exec(compile(ast.Module([last], []), "case", "exec"), names)
            value = None
        else:
            value = eval(compile(ast.Expression(last.value), "case", "eval"),
                         names)
        print(repr(value), flush=True)
    with contextlib.suppress(OSError):
        names["endpoint"].close()


LIBRARY = str(pathlib.Path(__file__).parents[2] /
              "build/lib/libvmcircuit.so.0")

if __name__ == "__main__":
    main()
