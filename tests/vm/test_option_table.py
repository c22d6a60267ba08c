# SPDX-License-Identifier: GPL-2.0-or-later
"""Every row of guest/module/option_table.h is tried beside TCP."""

import re
import socket

import pytest

from world import CHECKOUT, HERE

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.own_proof, pytest.mark.one_family]

WALK = "/tmp/option_walk.py"
# Those that Python has no name for.
NUMBERS = {"MSG_PROBE": 1 << 4, "MSG_WAITFORONE": 1 << 16,
           "MSG_BATCH": 1 << 18, "MSG_SOCK_DEVMEM": 1 << 25,
           "MSG_ZEROCOPY": 1 << 26, "MSG_FASTOPEN": 1 << 29}
TABLE = CHECKOUT / "guest/module/option_table.h"


def test_each_option_keeps_the_word_of_the_table(both_kinds):
    before = both_kinds.run("stats()")
    both_kinds.vm.push(HERE / "option_walk.py", WALK)
    done = both_kinds.vm.exec(["/usr/bin/python3", WALK], timeout=300)
    assert not done.rc, done.out + done.err
    after = both_kinds.run("stats()")
    tried = int(re.search(r"(\d+) rows tried", done.out)[1])
    assert tried == len(re.findall(r"^\tX\(SOL_", TABLE.read_text(), re.M))
    # For each row two families, and a connection for each.
    assert after["circuits_connected"] - before["circuits_connected"] > tried
    assert after["fallback_local"] == before["fallback_local"]
    # Those of the walk that must.
    assert after["fallback_no_route"] - before["fallback_no_route"] == \
        len(re.findall(r", NEVER, ", TABLE.read_text()))


def test_each_flag_keeps_the_word_of_the_table(both_kinds):
    rows = re.findall(r"X\((MSG_\w+), (\w+), (\w+),", TABLE.read_text())
    both_kinds.run("""
def say(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return error.errno

def pair(protocol):
    with socket.socket(AF_INET, socket.SOCK_STREAM, protocol) as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        c = socket.socket(AF_INET, socket.SOCK_STREAM, protocol)
        c.connect(s.getsockname())
        return c, s.accept()[0]

def answers(protocol, number):
    "What send() and recv() say to a flag; what recv() has left."
    c, a = pair(protocol)
    c.settimeout(5)
    sent = say(c.send, b"four", number)
    c.send(b"more")
    wait_ready(a, POLLIN)
    got = say(a.recv, 4, number)
    # What MSG_TRUNC leaves of the buffer is nobody's word.
    if number == MSG_TRUNC and isinstance(got, bytes):
        got = len(got)
    return sent, got, say(a.recv, 2, MSG_DONTWAIT)
""")
    for flag, _, _ in rows:
        number = NUMBERS.get(flag) or getattr(socket, flag)
        circuit, tcp = both_kinds.run(
            f"answers(261, {number}), answers(IPPROTO_TCP, {number})")
        assert circuit == tcp, flag
    assert len(rows) > 10
