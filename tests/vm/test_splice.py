# SPDX-License-Identifier: GPL-2.0-or-later
"""splice() and sendfile() in both directions."""

from errno import EAGAIN, EINVAL, EPIPE

import pytest


@pytest.fixture
def pipe(server, client, joined):
    """A pipe (r, w) in each guest."""
    for guest in {server, client}:
        guest.run("r, w = os.pipe()")


def test_splice_from_socket_to_pipe(server, client, pipe):
    client.run("c.sendall(b'through')")
    server.run("eventually(lambda: unread(a) == 7)")
    assert server.run("os.splice(a.fileno(), w, 100)") == 7
    assert server.run("os.read(r, 100)") == b"through"


def test_splice_from_pipe_to_socket(server, client, pipe):
    client.run("os.write(w, b'outward')")
    assert client.run("os.splice(r, c.fileno(), 7)") == 7
    assert server.run("receive(a, 7)") == b"outward"


def test_splice_takes_no_more_than_asked(server, client, pipe):
    client.run("c.sendall(b'abcdef')")
    server.run("eventually(lambda: unread(a) == 6)")
    assert server.run("os.splice(a.fileno(), w, 4)") == 4
    assert server.run("a.recv(10)") == b"ef"


def test_splice_gives_the_end(server, client, pipe):
    client.run("c.close()")
    assert server.run("os.splice(a.fileno(), w, 10)") == 0


def test_splice_blocks_until_data(server, client, pipe):
    task = server.spawn("os.splice(a.fileno(), w, 100)")
    task.assert_blocked()
    client.run("c.sendall(b'later')")
    assert task.join() == 5


def test_nonblocking_flag_of_splice_is_about_the_pipe(server, client, pipe):
    task = server.spawn("os.splice(a.fileno(), w, 10, "
                        "flags=os.SPLICE_F_NONBLOCK)")
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert task.join() == 1


def test_nonblocking_socket_splice_would_block(server, pipe):
    assert server.errno("a.setblocking(False); "
                        "os.splice(a.fileno(), w, 10)") == EAGAIN


def test_splice_into_a_full_socket_would_block(client, pipe):
    client.run("fill_stably(c); os.write(w, b'x' * 1000); "
               "c.setblocking(False)")
    assert client.errno("os.splice(r, c.fileno(), 1000)") == EAGAIN


def test_splice_into_a_shut_socket_is_a_broken_pipe(client, pipe):
    client.run("c.shutdown(SHUT_WR); os.write(w, b'x')")
    assert client.errno("os.splice(r, c.fileno(), 1)") == EPIPE


@pytest.mark.remote
def test_splice_carries_megabytes_each_way(server, client, pipe):
    size = 3 << 20
    client.spawn(f"""
data, at = pattern({size}), 0
while at < len(data):
    at += os.write(w, data[at:at + 65536])
os.close(w)
""")
    mover = client.spawn("""
while os.splice(r, c.fileno(), 1 << 20): pass
c.shutdown(SHUT_WR)
""")
    drain = server.spawn("""
while os.splice(a.fileno(), w, 1 << 20): pass
os.close(w)
""")
    assert server.run("""
with open(r, "rb") as file:
    whole = file.read()
digest(whole)
""") == client.run(f"digest(pattern({size}))")
    mover.join()
    drain.join()


def test_splice_through_a_proxy_of_two_sockets(server, client, pipe):
    # What a proxy does: socket, pipe, the same socket back.
    echo = server.spawn("""
while count := os.splice(a.fileno(), w, 65536):
    while count:
        count -= os.splice(r, a.fileno(), count)
a.shutdown(SHUT_WR)
""")
    reader = client.spawn("digest(read_to_end(c))")
    client.run("c.sendall(pattern(1 << 20)); c.shutdown(SHUT_WR)")
    assert reader.join() == client.run("digest(pattern(1 << 20))")
    echo.join()


def test_vmsplice_and_splice_send_user_pages(server, client, pipe):
    assert client.run("""
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
page = ctypes.create_string_buffer(pattern(4096), 4096)
vec = iovec(ctypes.addressof(page), 4096)
system("vmsplice", w, ctypes.byref(vec), ctypes.c_size_t(1), 0)
os.splice(r, c.fileno(), 4096)
""") == 4096
    assert server.run("receive(a, 4096) == pattern(4096)")


def test_sendfile_from_a_socket_is_invalid(server, client, joined):
    client.run("c.sendall(b'x')")
    assert server.errno("""
with open("/tmp/sink", "wb") as sink:
    os.sendfile(sink.fileno(), a.fileno(), None, 10)
""") == EINVAL


def test_tee_and_splice_copy_a_stream_twice(server, client, pipe):
    client.run("c.sendall(b'twice')")
    assert server.run("""
r2, w2 = os.pipe()
wait_ready(a, POLLIN)
count = os.splice(a.fileno(), w, 100)
system("tee", r, w2, ctypes.c_size_t(100), 0)
os.read(r, 100), os.read(r2, 100)
""") == (b"twice", b"twice")
