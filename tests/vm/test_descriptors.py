# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors: dup, fork, exec, passing on, and close beside a wait."""

from errno import EBADF, EINVAL

import pytest


def test_duplicate_keeps_the_connection_open(server, client, joined):
    client.run("d = c.dup(); c.close(); d.sendall(b'still')")
    assert server.run("receive(a, 5)") == b"still"
    client.run("d.close()")
    assert server.run("a.recv(1)") == b""


def test_duplicate_shares_flags_and_bytes(server, client, joined):
    server.run("b = a.dup(); a.setblocking(False)")
    assert server.run("fcntl.fcntl(b, fcntl.F_GETFL) & os.O_NONBLOCK")
    client.run("c.sendall(b'xy')")
    server.run("wait_ready(b, POLLIN)")
    assert server.run("a.recv(1), b.recv(1)") == (b"x", b"y")


def test_forked_child_uses_the_connection(server, client, joined):
    assert client.run("""
def child():
    c.sendall(b"from the child")
os.waitstatus_to_exitcode(in_child(child))
""") == 0
    assert server.run("receive(a, 14)") == b"from the child"
    client.run("c.sendall(b'and the parent')")
    assert server.run("receive(a, 14)") == b"and the parent"


def test_end_comes_only_when_all_processes_have_closed(server, client,
                                                       joined):
    client.run("""
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(w)
    os.read(r, 1)
    c.sendall(b"late")
    os._exit(0)
os.close(r)
c.close()
""")
    assert server.run("ready(a, POLLIN)") == 0
    client.run("os.close(w); os.waitpid(pid, 0)")
    assert server.run("read_to_end(a)") == b"late"


def test_preforked_children_accept_from_one_listener(server, client,
                                                     listener):
    server.run("""
pids = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        a, _ = s.accept()
        a.sendall(b"%d" % number)
        a.close()
        os._exit(0)
    pids.append(pid)
""")
    assert client.run("sorted(read_to_end(connect()) for _ in range(3))") == \
        [b"0", b"1", b"2"]
    assert server.run("[os.waitpid(pid, 0)[1] for pid in pids]") == [0] * 3


def test_program_inherits_the_connection_as_its_stdio(server, client, joined):
    # What inetd does.
    server.run("process = subprocess.Popen(['tr', 'a-z', 'A-Z'], stdin=a, "
               "stdout=a); a.close()")
    client.run("c.sendall(b'shout'); c.shutdown(SHUT_WR)")
    assert client.run("read_to_end(c)") == b"SHOUT"
    assert server.run("process.wait(8)") == 0


def test_cloexec_descriptor_does_not_reach_a_program(server, client, joined):
    code, text, _ = client.run("""
inherited = c.dup()
os.set_inheritable(inherited.fileno(), True)
program("sh", "-c", f"ls -l /proc/self/fd", close_fds=False)
""")
    assert code == 0
    assert text.count("socket:") == 1


def test_exec_closes_a_cloexec_connection(server, client, joined):
    client.run("""
pid = os.fork()
if pid == 0:
    os.execvp("sleep", ["sleep", "60"])
eventually(lambda: open(f"/proc/{pid}/comm").read() == "sleep\\n")
c.close()
""")
    assert server.run("a.recv(1)") == b""


def test_connection_passes_to_another_process(server, client, joined):
    server.run("""
ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    ours.close()
    a.close()
    _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
    got = socket.socket(fileno=fds[0])
    got.sendall(b"passed on")
    os._exit(len(receive(got, 3)))
theirs.close()
socket.send_fds(ours, [b"x"], [a.fileno()])
a.close()
""")
    assert client.run("receive(c, 9)") == b"passed on"
    client.run("c.sendall(b'abc')")
    assert server.run("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])") \
        == 3
    assert client.run("c.recv(1)") == b""


def test_connection_in_flight_between_processes_stays_open(server, client,
                                                           joined):
    server.run("ours, theirs = socket.socketpair(); "
               "socket.send_fds(ours, [b'x'], [a.fileno()]); a.close()")
    client.run("c.sendall(b'wait')")
    assert server.run("""
_, fds, _, _ = socket.recv_fds(theirs, 10, 1)
a = socket.socket(fileno=fds[0])
receive(a, 4)
""") == b"wait"


def test_connection_lost_in_flight_is_closed(server, client, joined):
    server.run("ours, theirs = socket.socketpair(); "
               "socket.send_fds(ours, [b'x'], [a.fileno()]); a.close(); "
               "ours.close(); theirs.close()")
    assert client.run("c.recv(1)") == b""


def test_pidfd_getfd_takes_the_connection(server, client, joined):
    server.run("""
pid = os.fork()
if pid == 0:
    signal.pause()
number = a.fileno()
a.close()
pidfd = os.pidfd_open(pid)
b = socket.socket(fileno=system("syscall", 438, pidfd, number, 0))
os.kill(pid, SIGKILL)
os.waitpid(pid, 0)
b.sendall(b"taken")
""")
    assert client.run("receive(c, 5)") == b"taken"


def test_close_beside_a_blocked_reader_leaves_it_waiting(server, client,
                                                         joined):
    # The call in progress holds the socket; only its return closes it.
    server.run("number = a.detach(); "
               "buffer = ctypes.create_string_buffer(100)")
    task = server.spawn('system("recv", number, buffer, 100, 0)').block()
    server.run("os.close(number)")
    task.assert_blocked()
    client.run("c.sendall(b'last words')")
    assert task.join() == 10
    assert client.run("wait_ready(c, POLLRDHUP); c.recv(1)") == b""


def test_close_beside_a_blocked_accept_leaves_it_waiting(server, client,
                                                         listener):
    server.run("number = s.detach()")
    task = server.spawn('system("accept", number, None, None)').block()
    server.run("os.close(number)")
    task.assert_blocked()
    client.run("c = connect()")
    assert task.join() > 0


def test_close_beside_a_blocked_poll_leaves_it_waiting(server, client,
                                                       joined):
    server.run("number = a.detach()")
    task = server.spawn("""
entry = ctypes.create_string_buffer(struct.pack("ihh", number, 1, 0), 8)
system("poll", entry, 1, 8000)
""").block()
    server.run("os.close(number)")
    client.run("c.sendall(b'x')")
    assert task.join() == 1


def test_close_of_the_duplicate_beside_a_reader_disturbs_nothing(
        server, client, joined):
    server.run("b = a.dup()")
    task = server.spawn("a.recv(10)").block()
    server.run("b.close()")
    client.run("c.sendall(b'x')")
    assert task.join() == b"x"


def test_closing_twice_is_a_bad_descriptor(client, joined):
    assert client.errno("number = c.detach(); os.close(number); "
                        "os.close(number)") == EBADF


def test_descriptor_is_a_socket_to_everyone(server, client, joined):
    assert client.run("""
import stat
stat.S_ISSOCK(os.fstat(c.fileno()).st_mode), \
os.readlink(f"/proc/self/fd/{c.fileno()}").startswith("socket:["), \
fcntl.fcntl(c, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
""") == (True, True, True)


def test_truncating_a_socket_is_invalid(client, joined):
    assert client.errno("os.ftruncate(c.fileno(), 0)") == EINVAL


def test_fsync_of_a_socket_is_invalid(client, joined):
    assert client.errno("os.fsync(c.fileno())") == EINVAL


def test_thread_that_dies_with_its_process_frees_the_connection(
        server, client, joined):
    server.run("""
pid = os.fork()
if pid == 0:
    for _ in range(4):
        threading.Thread(target=a.recv, args=(1,), daemon=True).start()
    eventually(lambda: len(os.listdir("/proc/self/task")) == 5)
    signal.pause()
a.close()
eventually(lambda: len(os.listdir(f"/proc/{pid}/task")) == 5)
os.kill(pid, SIGKILL)
os.waitpid(pid, 0)
""")
    assert client.run("c.recv(1)") == b""


@pytest.mark.no_circuit
def test_socket_never_used_closes(server):
    assert server.run("len([new_socket().close() for _ in range(100)])") == \
        100


def test_descriptor_limit_makes_accept_fail_and_the_connection_wait(
        server, client, listener):
    client.run("c = connect(); c.sendall(b'x')")
    server.run("wait_ready(s, POLLIN)")
    assert server.errno("""
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE,
                   (len(os.listdir("/proc/self/fd")) - 1, hard))
spare = []
try:
    while True:
        spare.append(os.dup(0))
except OSError:
    pass
s.accept()
""") == server.run("EMFILE")
    assert server.run("[os.close(fd) for fd in spare]; "
                      "resource.setrlimit(resource.RLIMIT_NOFILE, "
                      "(soft, hard)); a, _ = s.accept(); receive(a, 1)") == \
        b"x"
