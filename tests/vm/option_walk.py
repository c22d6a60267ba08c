#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in a guest: tries every row of the module's table of options.

Each on a new socket, on one that connected, on one that was accepted and on a
listener, of a circuit and of TCP beside it; what both answer is compared as the
table says. Prints a line for each row that does not keep its word, and at last
how many were tried.

Needs local circuits, and no redirect for this process.
"""

import errno
import socket
import sys

CIRCUIT, TCP = 261, socket.IPPROTO_TCP
TABLE = "/proc/net/vmcircuit/options"
STATES = ("new", "dialled", "accepted", "listening")
FAMILIES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
# Tried as values: on, off, too short, nothing, a structure's length.
VALUES = ((1).to_bytes(4, "little"), bytes(4), b"x", b"", bytes(16),
          b"nonesuch\0")
ROOM = 256


def rows():
    with open(TABLE, encoding="ascii") as file:
        for line in file:
            kind, level, name, label, whom, told = line.split()
            yield kind, int(level), int(name), label, whom, told


def sockets(family, protocol):
    """A socket in each state, and what must be closed."""
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.bind((FAMILIES[family], 0))
    listener.listen()
    dialled = socket.socket(family, socket.SOCK_STREAM, protocol)
    dialled.connect(listener.getsockname())
    return {"new": socket.socket(family, socket.SOCK_STREAM, protocol),
            "dialled": dialled, "accepted": listener.accept()[0],
            "listening": listener}


def attempt(call, *arguments):
    """What a call gives, or its errno's name."""
    try:
        return call(*arguments)
    except OSError as error:
        # Linux has two names for this one.
        return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else \
            errno.errorcode.get(error.errno, error.errno)


def answers(sock, level, name):
    """Everything that a program is told: read, then set and read again."""
    found = [attempt(sock.getsockopt, level, name, ROOM)]
    for value in VALUES:
        found.append(attempt(sock.setsockopt, level, name, value))
        found.append(attempt(sock.getsockopt, level, name, ROOM))
        found.append(attempt(sock.getsockopt, level, name, 4))
    return found


def ask_all(family, protocol, level, name):
    opened = sockets(family, protocol)
    found = {state: answers(opened[state], level, name) for state in STATES}
    for sock in opened.values():
        sock.close()
    return found


def sets(found):
    """The answers to setsockopt() among answers()."""
    return found[1::3]


def shapes(found):
    """Answers without their values: errno, or how long."""
    return [len(answer) if isinstance(answer, bytes) else answer
            for answer in found]


def judge(whom, told, state, circuit, tcp):
    """Does one socket keep the row's word? The answers that it should give."""
    ours = circuit[state]
    if whom in ("REFUSED", "NEVER"):
        read = [ours[0]] if ours[0] == "EOPNOTSUPP" else \
            tcp["new" if told == "STATE" else state][:1]
        return ours[:1] + sets(ours), read + ["EOPNOTSUPP"] * len(VALUES)
    if whom == "ABSENT" and state in ("dialled", "accepted"):
        return sets(ours), ["ENOENT"] * len(VALUES)
    if told == "STATE" and state in ("dialled", "accepted"):
        # As another that is not connected, if TCP itself says so.
        return shapes(ours), shapes(tcp["new"])
    if told == "VALUE":
        return shapes(ours), shapes(tcp[state])
    return ours, tcp[state]


def walk_stream(level, name, label, whom, told):
    """Try one row; return whether it keeps its word."""
    is_kept = True
    for family in FAMILIES:
        circuit = ask_all(family, CIRCUIT, level, name)
        tcp = ask_all(family, TCP, level, name)
        for state in STATES:
            ours, theirs = judge(whom, told, state, circuit, tcp)
            if ours != theirs:
                is_kept = False
                at = next(at for at, pair in enumerate(zip(ours, theirs))
                          if pair[0] != pair[1])
                print(f"{label} {whom} {told} {family.name} {state} "
                      f"answer {at}: {ours[at]!r} not {theirs[at]!r}")
    return is_kept


def walk_fallback(level, name, label):
    """What is never taken is not taken after a fallback either."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM, CIRCUIT) as sock:
        sock.setblocking(False)
        # Link-local addresses are TCP's.
        attempt(sock.connect, ("fe80::1", 9, 0, 1))
        told = [attempt(sock.setsockopt, level, name, value)
                for value in VALUES]
    if told == ["EOPNOTSUPP"] * len(VALUES):
        return True
    print(f"{label} NEVER, on a fallback: {told}")
    return False


def walk_datagram(level, name, label, whom):
    is_kept = True
    for family in FAMILIES:
        ours, theirs = (answers(socket.socket(
            family, socket.SOCK_DGRAM, protocol), level, name)
            for protocol in (260, socket.IPPROTO_UDP))
        # IPv4's sockets have no options of IPv6 to refuse.
        if whom == "REFUSED" and family == socket.AF_INET6:
            ours, theirs = sets(ours), ["EOPNOTSUPP"] * len(VALUES)
        if ours != theirs:
            is_kept = False
            print(f"{label} {whom} {family.name}: {ours!r} not {theirs!r}")
    return is_kept


def walk_unknown(known):
    """What the table does not know is no option, as far as a kernel knows."""
    is_kept = True
    for level in sorted({level for level, _ in known}):
        if level == socket.IPPROTO_UDP:
            continue
        for name in set(range(1, 128)) - {name for at, name in known
                                          if at == level}:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM,
                               CIRCUIT) as sock:
                told = attempt(sock.setsockopt, level, name, 1)
            if told != "ENOPROTOOPT":
                is_kept = False
                print(f"level {level}, option {name}, which is not in the "
                      f"table: {told!r}")
    return is_kept


def main():
    tried, broken, known = 0, 0, set()
    for kind, level, name, label, whom, told in rows():
        if kind == "stream":
            known.add((level, name))
            is_kept = walk_stream(level, name, label, whom, told)
            if whom == "NEVER":
                is_kept &= walk_fallback(level, name, label)
        else:
            is_kept = walk_datagram(level, name, label, whom)
        tried += 1
        broken += not is_kept
    broken += not walk_unknown(known)
    print(f"{tried} rows tried, {broken} broken")
    return 1 if broken or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
