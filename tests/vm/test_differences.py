# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of socket calls: circuits do what TCP does.

tests/fuzz/diff_sockets plays each sequence on a circuit and on TCP at once, in
one guest, and judges. Here it is given the two kinds of socket, told apart by
their protocol numbers, and the proof that the circuits were circuits.
"""

import re

import pytest

from world import CHECKOUT

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.own_proof, pytest.mark.one_family]

SOURCE = CHECKOUT / "tests/fuzz/diff_sockets"
PROGRAM = CHECKOUT / "build/tests/fuzz/diff_sockets/diff_sockets"
FOUND = CHECKOUT / "build/tests/differences"
REMOTE = "/tmp/diff"
# Sequences at once: they wait more than they compute.
PLAYERS = "--players=3"
REGRESSIONS = sorted((SOURCE / "regressions").glob("*.ops"))


@pytest.fixture
def plain(both_kinds):
    """The client, with the fuzzer in it."""
    both_kinds.run(f"os.makedirs('{REMOTE}', exist_ok=True)")
    both_kinds.vm.push(PROGRAM, f"{REMOTE}/diff_sockets")
    return both_kinds


def play(client, *arguments, timeout):
    """Run the fuzzer in the guest; prove its circuits; return its output."""
    before = client.run("stats()")
    done = client.vm.exec([f"{REMOTE}/diff_sockets", f"--save={REMOTE}",
                           *arguments], timeout=timeout)
    assert not done.rc, keep(client, done.out + done.err)
    after = client.run("stats()")
    risen = {name: after[name] - before[name] for name in after}
    connections = int(re.search(r"(\d+) connections", done.out)[1])
    assert risen["circuits_connected"] >= connections
    # Many find nobody, or no port.
    if "--datagrams" in arguments:
        assert risen["datagrams_sent"] >= operations(done.out) / 50
    for name, value in risen.items():
        if name.startswith("fallback") or name == "lies":
            assert not value, f"{name} rose by {value}"
    return done.out


def keep(client, output):
    """Bring home the sequences that differ; return what to report."""
    FOUND.mkdir(parents=True, exist_ok=True)
    for path in re.findall(r"^saved as (\S+)$", output, re.M):
        name = path.rsplit("/", 1)[1]
        client.vm.pull(path, FOUND / name)
        output += f"\n{name} is in {FOUND}"
    return output


def test_what_once_differed_does_not(plain):
    files = []
    for path in REGRESSIONS:
        files.append(f"{REMOTE}/{path.name}")
        plain.vm.push(path, files[-1])
    assert files
    play(plain, *files, timeout=120)


def operations(output):
    return int(re.search(r"^(\d+) operations,", output, re.M)[1])


def test_random_sequences_give_the_same_on_circuits_and_tcp(plain):
    output = play(plain, PLAYERS, "--operations=5000", timeout=600)
    assert operations(output) >= 5000


def test_random_datagrams_come_the_same_by_circuits_and_udp(plain):
    output = play(plain, PLAYERS, "--datagrams", "--operations=2000",
                  timeout=300)
    assert operations(output) >= 2000


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_many_random_sequences_give_the_same(plain, part):
    output = play(plain, PLAYERS, "--operations=10000",
                  f"--seed={1000000 + part * 10000}", timeout=1200)
    assert operations(output) >= 10000


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_many_random_datagrams_come_the_same(plain, part):
    output = play(plain, PLAYERS, "--datagrams", "--operations=10000",
                  f"--seed={1000000 + part * 10000}", timeout=1200)
    assert operations(output) >= 10000
