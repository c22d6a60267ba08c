# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that abuses its mapped circuits, whom it may harm, and who must
notice nothing. Runs in the guests after mapped.py, as that does.
"""


# ---------------------------------------------------------------- the attacker

CHOSEN = (0, 1, 0xffffffff, 0x7fffffff, 0x80000000)


def spoil_word(m, dice):
    "Some word of the control page, mostly one that means something."
    word = dice.choice((PROD, FLAGS, CONS, DATA_WAIT, SPACE_WAIT,
                        dice.randrange(PAGE // 4)))
    near = [m.get(area, index) + by for area in (OWN, PEER)
            for index in (PROD, CONS) for by in (-1, 1, m.tx_bytes,
            m.tx_bytes + 1, -m.rx_bytes, -m.rx_bytes - 1)]
    m.set(word, dice.choice((*CHOSEN, dice.choice(near),
                             dice.getrandbits(32))))


def spoil_page(m, dice):
    ctypes.memmove(m.at(OWN), dice.randbytes(PAGE), PAGE)


def fill_page(m, dice):
    ctypes.memset(m.at(OWN), dice.choice((0, 0x7f, 0x80, 0xff)), PAGE)


def spoil_ring(m, dice):
    ctypes.memmove(m.at(TX), dice.randbytes(65536) * (m.tx_bytes >> 15),
                   2 * m.tx_bytes)


def run_away(m, dice):
    "An index that moves all the time, forth or back."
    index, step = dice.choice((PROD, CONS)), dice.choice((1, -1, 4096, 77777))
    for _ in range(200):
        m.set(index, m.get(OWN, index) + step)
        m.ring()


def storm(m, dice):
    for _ in range(200):
        m.ring()


def honest(m, dice):
    m.put(dice.randbytes(1000))
    m.take(1000)


WAYS = (spoil_word, spoil_word, spoil_word, spoil_page, fill_page, spoil_ring,
        run_away, storm, honest)


def endings(c, m, dice):
    way = dice.randrange(6)
    if way == 0:
        c.close()
    elif way == 1:
        m.unmap(OWN)
        for _ in range(3):
            errno_of(c.recv, 1000)
            errno_of(c.send, bytes(1000))
    elif way == 2:
        errno_of(c.shutdown, SHUT_RDWR)
    elif way == 3:
        linger(c, 1, 0)
        m.unmap()
    elif way == 4:
        errno_of(c.connect, (SERVER, PORT))
    m.unmap()
    c.close()


def attack(dice):
    "Attack after attack; a circuit that is reset ends its round only."
    while True:
        c = new_socket()
        c.setsockopt(SOL_SOCKET, SO_SNDBUF, dice.choice((8192, 1 << 19)))
        c.connect((SERVER, PORT))
        c.setblocking(False)
        m = Mapped(c)
        for _ in range(dice.randrange(1, 40)):
            dice.choice(WAYS)(m, dice)
            errno_of(m.ring)
            ready(c)
            unread(c), ioctl_int(c, 0x5411)
            rounds[:] = (int.from_bytes(rounds[:], "little") + 1).to_bytes(
                8, "little")
        endings(c, m, dice)


def attacks(seconds, seed):
    "Return how often something was spoilt."
    end, dice = time.monotonic() + seconds, random.Random(seed)
    while time.monotonic() < end:
        seed = dice.random()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                attack(random.Random(seed))
            except BaseException:
                with open("/tmp/attacker", "w") as out:
                    traceback.print_exc(file=out)
            finally:
                os._exit(code)
        time.sleep(dice.uniform(0.2, 2))
        os.kill(pid, SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if status != SIGKILL:
            raise RuntimeError(f"the attacker ended with {status}: " + (
                open("/tmp/attacker").read() if status == 256 else ""))
    return int.from_bytes(rounds[:], "little")


rounds = mmap.mmap(-1, 8)


# --------------------------------------------------- its peer, who is honest


def suffer(s, is_mapped):
    "Serve until the listener is shut down; return how many were served."
    p, ends, served = select.epoll(), {}, 0
    s.setblocking(False)
    p.register(s, EPOLLIN)
    while True:
        for fd, events in p.poll(5):
            if fd == s.fileno():
                try:
                    a, _ = s.accept()
                except BlockingIOError:
                    continue
                except OSError:
                    return served
                a.setblocking(False)
                try:
                    ends[a.fileno()] = a, Mapped(a) if is_mapped else None
                except OSError as error:
                    # Reset before it was mapped, and its link perhaps gone.
                    assert error.errno == ENOTCONN, error
                    continue
                p.register(a, EPOLLIN | EPOLLRDHUP)
                served += 1
                continue
            a, m = ends[fd]
            try:
                over = not (exchange(m) if m else copy(a))
            except BlockingIOError:
                over = False
            except OSError:
                over = True
            if over or events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP):
                del ends[fd]
                if m:
                    m.unmap()
                a.close()


def copy(a):
    "An answer without room is forgotten; False: the end."
    data = a.recv(65536)
    if data:
        try:
            a.send(data)
        except BlockingIOError:
            pass
    return data


def exchange(m):
    "As libvmcircuit: what the peer says is checked; False: it lies."
    if m.fill() > m.rx_bytes or not 0 <= m.room() <= m.tx_bytes:
        return False
    m.put(m.take(65536))
    return True


# -------------------------------------------------------------- the bystander


def echo(sock):
    while part := sock.recv(65536):
        sock.sendall(part)


def traffic(sock, stop, seed):
    "Bytes to and fro until told to stop; return (wrong, right) rounds."
    wrong, right, dice = 0, 0, random.Random(seed)
    while not stop.is_set():
        data = pattern(dice.randrange(1, 100000), right)
        writer = threading.Thread(target=sock.sendall, args=(data,))
        writer.start()
        got = receive(sock, len(data)) == data
        writer.join()
        wrong, right = wrong + (not got), right + got
    sock.shutdown(SHUT_WR)
    return wrong + (sock.recv(1) != b""), right


stop = threading.Event()
