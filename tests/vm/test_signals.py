# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals that interrupt a wait, and SIGPIPE and SIGIO."""

from errno import EAGAIN, EALREADY, EINTR, EISCONN

import pytest

# system() makes calls as they are: Python itself would start them again.
PREPARE = """
caught = []
signal.signal(SIGUSR1, lambda *_: caught.append(1))
signal.siginterrupt(SIGUSR1, {interrupt})
buffer = ctypes.create_string_buffer(1 << 20)
"""
HIT = "signal.pthread_kill(IDENT, SIGUSR1)"


@pytest.fixture
def interrupting(server, client, joined):
    for guest in {server, client}:
        guest.run(PREPARE.format(interrupt=True))


@pytest.fixture
def restarting(server, client, joined):
    for guest in {server, client}:
        guest.run(PREPARE.format(interrupt=False))


def test_signal_interrupts_receive(server, interrupting):
    task = server.spawn('system("recv", a.fileno(), buffer, 10, 0)').block()
    server.run(HIT)
    assert task.errno() == EINTR


def test_signal_interrupts_send(client, interrupting):
    client.run("fill_stably(c)")
    task = client.spawn('system("send", c.fileno(), buffer, 1000, 0)').block()
    client.run(HIT)
    assert task.errno() == EINTR


def test_signal_amid_a_send_gives_the_part_that_went(server, client,
                                                     interrupting):
    client.run("big = ctypes.create_string_buffer(48 << 20)")
    task = client.spawn('system("send", c.fileno(), big, '
                        'ctypes.c_size_t(48 << 20), 0)').block()
    client.run("eventually(lambda: not ready(c, POLLOUT))")
    task.block()
    client.run(HIT)
    sent = task.join()
    assert 0 < sent < 48 << 20
    client.run("c.close()")
    assert server.run("len(read_to_end(a))") == sent


def test_signal_amid_waitall_gives_the_part_that_came(server, client,
                                                      interrupting):
    task = server.spawn('system("recv", a.fileno(), buffer, 10, '
                        'MSG_WAITALL)').block()
    client.run("c.sendall(b'123')")
    # Only what is taken from the queue is no longer counted as unread.
    server.run("eventually(lambda: not ready(a, POLLIN) or True)")
    client.run("eventually(lambda: ioctl_int(c, TIOCOUTQ) == 0)")
    task.block()
    server.run(HIT)
    assert task.join() == 3


def test_signal_interrupts_accept(server, interrupting):
    task = server.spawn('system("accept", s.fileno(), None, None)').block()
    server.run(HIT)
    assert task.errno() == EINTR


def test_signal_interrupts_poll(server, interrupting):
    task = server.spawn("""
entry = ctypes.create_string_buffer(struct.pack("ihh", a.fileno(), 1, 0), 8)
system("poll", entry, 1, 8000)
""").block()
    server.run(HIT)
    assert task.errno() == EINTR


def test_restarted_receive_goes_on(server, client, restarting):
    task = server.spawn('system("recv", a.fileno(), buffer, 10, 0)').block()
    server.run(HIT)
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert task.join() == 1


def test_restarted_accept_goes_on(server, client, restarting):
    task = server.spawn('system("accept", s.fileno(), None, None)').block()
    server.run(HIT)
    task.assert_blocked()
    client.run("d = connect()")
    assert task.join() > 0


def test_receive_with_a_timeout_is_not_restarted(server, restarting):
    server.run("a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(5))")
    task = server.spawn('system("recv", a.fileno(), buffer, 10, 0)').block()
    server.run(HIT)
    assert task.errno() == EINTR


def test_interrupted_connect_goes_on_by_itself(server, client):
    client.set(PORT=server.run("s = listen(backlog=0); port_of(s)"))
    client.run(PREPARE.format(interrupt=True))
    client.run("first = connect()")
    server.run("wait_ready(s, POLLIN)")
    client.run(r"""
c, packed = new_socket(), socket.inet_pton(FAMILY, SERVER)
target = struct.pack("=H", FAMILY) + struct.pack("!H", PORT)
target += packed + bytes(8) if FAMILY == AF_INET else \
    bytes(4) + packed + bytes(4)
""")
    task = client.spawn('system("connect", c.fileno(), target, '
                        'len(target))').block()
    client.run(HIT)
    assert task.errno() == EINTR
    assert client.run("c.connect_ex((SERVER, PORT)) if c.setblocking(False) "
                      "is None else 0") in (EALREADY, EISCONN)
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    client.run("wait_ready(c, POLLOUT); c.setblocking(True); c.send(b'x')")
    assert server.run("receive(b, 1)") == b"x"


def test_broken_pipe_raises_the_signal(client, joined):
    assert client.run("""
caught = []
signal.signal(SIGPIPE, lambda *_: caught.append(1))
c.shutdown(SHUT_WR)
try:
    c.send(b"x")
except BrokenPipeError:
    caught.append("error")
eventually(lambda: len(caught) == 2)
set(caught)
""") == {1, "error"}


def test_broken_pipe_kills_who_does_not_care(client, joined):
    assert client.run("""
c.shutdown(SHUT_WR)
def child():
    signal.signal(SIGPIPE, SIG_DFL)
    os.write(c.fileno(), b"x")
os.waitstatus_to_exitcode(in_child(child))
""") == -13


def test_killed_process_leaves_its_wait(server, client, joined):
    server.run("""
pid = os.fork()
if pid == 0:
    a.recv(1)
    os._exit(0)
def waits():
    with open(f"/proc/{pid}/syscall") as file:
        return file.read().split()[0] == "45"
eventually(waits)
os.kill(pid, SIGKILL)
""")
    assert server.run("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])") \
        == -9
    client.run("c.sendall(b'x')")
    assert server.run("a.recv(1)") == b"x"


def test_owner_gets_sigio_when_data_come(server, client, joined):
    server.run("""
caught = []
signal.signal(SIGIO, lambda *_: caught.append(1))
fcntl.fcntl(a, fcntl.F_SETOWN, os.getpid())
flags = fcntl.fcntl(a, fcntl.F_GETFL)
fcntl.fcntl(a, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
""")
    assert server.errno("a.recv(1)") == EAGAIN
    client.run("c.sendall(b'x')")
    server.run("eventually(lambda: caught)")
    assert server.run("wait_ready(a, POLLIN); a.recv(1)") == b"x"


def test_stopped_and_continued_process_goes_on_receiving(server, client,
                                                         joined):
    server.run("""
pid = os.fork()
if pid == 0:
    os._exit(a.recv(1)[0])
def state():
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]
eventually(lambda: state() == "S")
os.kill(pid, SIGSTOP)
eventually(lambda: state() == "T")
os.kill(pid, SIGCONT)
""")
    client.run("c.sendall(bytes([77]))")
    assert server.run("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])") \
        == 77
