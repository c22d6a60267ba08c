# SPDX-License-Identifier: GPL-2.0-or-later
"""libvmcircuit, through the programs that come with it.

vmc-cp copies a file and vmc-serve answers requests, in the rings of a circuit,
or over any other socket with the same calls.
"""

import re

import pytest

pytestmark = [pytest.mark.circuit, pytest.mark.remote]

CIRCUIT, SOCKET = "a circuit, in place", "a socket"
SIZE = (9 << 20) + 4321


@pytest.fixture
def port(server):
    return server.run("unused_port()")


def serve(server, *command):
    """Start a program in the server as `process`; wait until it listens."""
    port = command[-2] if "vmc-cp" in command[0] else command[-1]
    server.run(f"""
process = start(*{command!r})
def up():
    if process.poll() is not None:
        raise RuntimeError(output(process))
    return program("ss", "-Hltn", "sport", "=", ":{port}")[1].strip()
eventually(up, 20)
""", 30)


def make_file(guest, size=SIZE):
    """/tmp/in there; its digest."""
    return guest.run(f"""
data = pattern({size})
with open("/tmp/in", "wb") as out:
    out.write(data)
digest(data)
""")


def assert_copied(server, client, host, port, kind):
    want = make_file(client)
    serve(server, "vmc-cp", "-l", "-a", host, str(port), "/tmp/out")
    code, out, err = client.run(
        f"program('vmc-cp', '/tmp/in', '{host}', '{port}')")
    assert code == 0 and out == "", err
    assert server.run("process.wait(10)") == 0
    for told in (err, server.run("output(process)")):
        assert re.fullmatch(
            rf"vmc-cp: {SIZE} bytes in [\d.]+ s, [\d.]+ Gbit/s, "
            rf"over {kind}\n", told)
    assert server.run("digest(open('/tmp/out', 'rb').read())") == want


def test_file_is_copied_over_a_circuit(server, client, family, port):
    assert_copied(server, client, server.address(family), port, CIRCUIT)


@pytest.mark.fallback
def test_file_is_copied_over_a_fallback(server, family, port):
    # Within a VM connections are TCP, unless it is told otherwise.
    assert_copied(server, server, server.address(family), port, SOCKET)


def test_any_address_is_of_either_family(server, client, family, port):
    serve(server, "vmc-serve", "-a", "::", str(port))
    code, _, err = client.run(
        f"program('vmc-serve', '-n', '1', '{server.address(family)}', "
        f"'{port}')")
    assert code == 0, err


@pytest.mark.one_family
@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_pipes_are_copied(server, client, port, size):
    want = make_file(client, size)
    serve(server, "sh", "-c", 'vmc-cp -l "$0" - | cat >/tmp/out; echo over',
          str(port))
    code, _, err = client.run(
        f"program('sh', '-c', 'cat /tmp/in | vmc-cp - {server.v4} {port}')")
    assert code == 0, err
    server.run("process.wait(10)")
    assert server.run("digest(open('/tmp/out', 'rb').read())") == want


@pytest.mark.one_family
def test_requests_are_answered_over_a_circuit(server, client, port):
    serve(server, "vmc-serve", str(port))
    # More than a ring at once, and with looking for a while before sleeping.
    for options in (["-n", "200"], ["-n", "3", "-b", str(3 << 20)],
                    ["-s", "100", "-n", "200", "-b", "1"]):
        code, out, err = client.run(
            f"program('vmc-serve', *{options!r}, '{server.v4}', '{port}')")
        assert code == 0, err
        assert re.fullmatch(rf"\d+ round trips of \d+ bytes over {CIRCUIT}: "
                            r"median [\d.]+ us, 99% within [\d.]+ us\n", out)
    # One client after the other was served, without a word.
    assert server.run("process.poll(), output(process)") == (None, "")


@pytest.mark.one_family
@pytest.mark.fallback
def test_requests_are_answered_over_a_fallback(server, port):
    serve(server, "vmc-serve", str(port))
    code, out, err = server.run(
        f"program('vmc-serve', '-n', '50', '-b', '100000', '{server.v4}', "
        f"'{port}')")
    assert code == 0, err
    assert out.startswith("50 round trips of 100000 bytes over a socket: ")


@pytest.mark.one_family
def test_ordinary_program_is_served(server, client, port):
    serve(server, "vmc-serve", str(port))
    client.run(f"c = connect({port})")
    for i in range(3):
        assert client.run(f"c.sendall(pattern(100000, {i})); "
                          f"receive(c, 100000) == pattern(100000, {i})")


def assert_one_sentence(text, name):
    """What went wrong, in one line that is no riddle."""
    assert re.fullmatch(rf"{name}: [a-z][^\n]* [^\n]*\n", text), text
    assert "Success" not in text and "Unknown error" not in text


@pytest.fixture
def deadly(world):
    for guest in world.guests:
        guest.tell("vmcircuit: (the switch|peer|link)")
    world.tell('vm "vm[12]"|vm[12]')
    world.trouble = ("switch_lost",)
    return world


# Without end, so that both are in the middle of it when something dies.
ENDLESS = "exec vmc-cp - {host} {port} </dev/zero"
FLOWS = """
def flows():
    at = os.stat("/tmp/out").st_size
    return at > 3 << 20
eventually(flows)
"""


@pytest.fixture
def copying(server, client, port):
    """An endless copy: `process` in both guests."""
    serve(server, "vmc-cp", "-l", str(port), "/tmp/out")
    client.run("process = start('sh', '-c', "
               f"{ENDLESS.format(host=server.v4, port=port)!r})")
    server.run(FLOWS)
    yield
    server.run("os.unlink('/tmp/out')")


@pytest.mark.one_family
def test_killed_receiver_is_told_by_the_sender(server, client, copying):
    server.run("process.kill(); process.wait()")
    assert client.run("process.wait(10)") == 1
    assert_one_sentence(client.run("output(process)"), "vmc-cp")


@pytest.mark.one_family
def test_killed_sender_is_told_by_the_receiver(server, client, copying):
    # What a killed program had committed arrives, and then an orderly end: the
    # receiver is told by nobody that this is not all, as over TCP. But there
    # is nobody to answer, and it must end.
    client.run("process.kill(); process.wait()")
    assert server.run("process.wait(10)") in (0, 1)
    assert server.run("output(process).count('\\n')") == 1


@pytest.mark.one_family
def test_killed_peer_vm_is_told_by_the_receiver(deadly, server, client,
                                                copying):
    client.vm.kill()
    assert server.run("process.wait(10)") == 1
    assert_one_sentence(server.run("output(process)"), "vmc-cp")
    # And what it wrote was sent: nothing but what came before the loss.
    assert server.run("open('/tmp/out', 'rb').read().count(0) == "
                      "os.stat('/tmp/out').st_size")


@pytest.mark.one_family
def test_crash_of_the_switch_is_told_by_both(deadly, server, client, copying):
    deadly.crash()
    for guest in (server, client):
        assert guest.run("process.wait(10)") == 1
        assert_one_sentence(guest.run("output(process)"), "vmc-cp")


@pytest.mark.one_family
def test_bytes_before_a_crash_are_the_senders(deadly, server, client, port):
    # The pages go while the receiver writes from them: what it was not told
    # to be the sender's may be in its file as its last block, no more.
    for _ in range(4):
        serve(server, "vmc-cp", "-l", str(port), "/tmp/out")
        client.run("process = start('sh', '-c', "
                   f"'yes | vmc-cp - {server.v4} {port}')")
        server.run(FLOWS)
        deadly.crash()
        assert server.run("process.wait(10)") == 1
        assert server.run("""
data = open("/tmp/out", "rb").read()
data[:-(256 << 10)].count(0)
""") == 0
        client.run("process.wait(10)")
        deadly.wait_attached()


@pytest.mark.one_family
def test_server_outlives_its_clients(server, client, port):
    serve(server, "vmc-serve", str(port))
    client.run(f"""
c = connect({port})
c.sendall(pattern(100000))
receive(c, 1000)
c.close()
""")
    code, _, err = client.run(
        f"program('vmc-serve', '-n', '10', '{server.v4}', '{port}')")
    assert code == 0, err
    assert_one_sentence(server.run("output(process)"), "vmc-serve")
    server.run("process.kill(); process.wait()")
    code, _, err = client.run(
        f"program('vmc-serve', '-n', '10', '{server.v4}', '{port}')")
    assert code == 1
    assert "refused" in err and str(port) in err


@pytest.mark.one_family
def test_asker_tells_that_its_server_was_killed(server, client, port):
    serve(server, "vmc-serve", str(port))
    client.run("process = start('vmc-serve', '-n', '1000000', "
               f"'{server.v4}', '{port}')")
    server.run("eventually(lambda: open('/proc/net/vmcircuit/circuits')"
               f".read().count(':{port} '))")
    server.run("process.kill()")
    assert client.run("process.wait(10)") == 1
    assert_one_sentence(client.run("output(process)"), "vmc-serve")


@pytest.mark.one_family
@pytest.mark.no_circuit
@pytest.mark.parametrize("words", [
    ["vmc-cp"], ["vmc-cp", "/tmp/in"], ["vmc-cp", "-l", "99"],
    ["vmc-cp", "-a", "::", "/tmp/in", "localhost", "99"], ["vmc-cp", "-x"],
    ["vmc-cp", "-l", "99", "/tmp/out", "more"], ["vmc-serve"],
    ["vmc-serve", "-n"], ["vmc-serve", "-n", "many", "localhost", "99"],
    ["vmc-serve", "-s", "-1", "99"], ["vmc-serve", "-y"],
    ["vmc-serve", "a", "b", "c"]], ids=" ".join)
def test_wrong_usage_is_2(server, words):
    code, out, err = server.run(f"program(*{words!r})")
    assert code == 2 and out == ""
    assert "usage: " in err or words[-2] in err or "is no number" in err


@pytest.mark.one_family
@pytest.mark.no_circuit
def test_help_goes_to_stdout(server):
    for name in ("vmc-cp", "vmc-serve"):
        code, out, err = server.run(f"program('{name}', '-h')")
        assert (code, err) == (0, "") and out.startswith(f"usage: {name} ")


@pytest.mark.one_family
@pytest.mark.no_circuit
def test_what_cannot_be_opened_is_named(server):
    for words in (["/nowhere/in", "localhost", "99"],
                  ["-l", "99", "/nowhere/out"]):
        code, _, err = server.run(f"program('vmc-cp', *{words!r})")
        assert code == 1
        assert re.fullmatch(r"vmc-cp: /nowhere/(in|out): No such file or "
                            r"directory\n", err)
