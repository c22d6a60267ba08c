# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM without a VM: plays the hypervisor and the guest's driver.

It connects to the switch's socket as QEMU does, lends it memory with three
virtqueues, answers SHMEM_MAP by mapping the segment, and gives the test the
guest's view: send a request, receive an event.
"""

import mmap
import os
import select
import socket
import struct
import time

RAM = 4 << 20
RAM_GUEST = 0x1000000
RAM_USER = 0x7f0000000000
WINDOW_GUEST = 64 << 40
QUEUE = 256
SEGMENT = 512 << 20

(HELLO, LISTEN, UNLISTEN, CONNECT, CANCEL, ACCEPT, REFUSE, CLOSE,
 LINK_RELEASED) = range(1, 10)
(ATTACH, WELCOME, LISTENING, LINK_UP, LINK_DOWN, OFFER, CONNECTED, FAILED,
 RESET, KICK) = range(64, 74)

HEADER = struct.Struct("<III")


class Gone(Exception):
    """The switch ended the connection."""


def name(address, port):
    """A struct vmc_name."""
    try:
        raw, family = socket.inet_pton(socket.AF_INET, address), 4
    except OSError:
        raw, family = socket.inet_pton(socket.AF_INET6, address), 6
    return struct.pack("<16sHBxI", raw, port, family, 0)


class Event:
    """A message from the switch, with its fields by name."""

    FIELDS = {
        ATTACH: ("<IIQ", "version pad epoch"),
        WELCOME: ("<IIQQQII32s", "version error features epoch switch_page "
                  "nr_addresses nr_resolvers name"),
        LISTENING: ("<II", "listener error"),
        LINK_UP: ("<IIQQQII32s", "link generation tx_window rx_window "
                  "segment_bytes flags pad peer"),
        LINK_DOWN: ("<II", "link generation"),
        OFFER: ("<IIIIQQIIII24s24s", "link slot generation pad tx_offset "
                "rx_offset tx_bytes rx_bytes listener flags local remote"),
        CONNECTED: ("<IIIIQQIIII", "link slot generation pad tx_offset "
                    "rx_offset tx_bytes rx_bytes cookie pad2"),
        FAILED: ("<II", "cookie error"),
        RESET: ("<IIIIII", "link slot generation pad error pad2"),
        KICK: ("<II", "link pad"),
    }

    def __init__(self, raw):
        self.type, size = struct.unpack_from("<HH", raw)
        assert size == len(raw), (size, len(raw))
        form, names = self.FIELDS[self.type]
        values = struct.unpack_from(form, raw, 8)
        for key, value in zip(names.split(), values):
            setattr(self, key, value)
        self.raw = raw

    @property
    def id(self):
        """The circuit id, ready to be sent back."""
        return struct.pack("<IIII", self.link, self.slot, self.generation, 0)

    def __repr__(self):
        return f"<event {self.type} {vars(self)}>"


class Queue:
    """One split virtqueue, the driver's side."""

    def __init__(self, vm, index, offset):
        self.vm, self.index = vm, index
        self.desc = offset
        self.avail = offset + 16 * QUEUE
        self.used = (self.avail + 6 + 2 * QUEUE + 3) & ~3
        self.buffers = offset + 0x4000
        self.prod = self.cons = 0
        # An index that the switch reads meanwhile must change in one store,
        # which struct.pack_into() does not promise: it works by bytes.
        self.index_of = memoryview(vm.ram).cast("H")
        self.kick = os.eventfd(0, os.EFD_NONBLOCK)
        self.call = os.eventfd(0, os.EFD_NONBLOCK)

    def buffer(self, slot):
        return self.buffers + slot * 256

    def set_desc(self, slot, address, length, flags=0, following=0):
        struct.pack_into("<QIHH", self.vm.ram, self.desc + 16 * slot,
                         address, length, flags, following)

    def post(self, slot, count=1):
        struct.pack_into("<H", self.vm.ram,
                         self.avail + 4 + 2 * (self.prod % QUEUE), slot)
        self.prod = (self.prod + count) & 0xffff
        self.index_of[(self.avail + 2) // 2] = self.prod

    def notify(self):
        os.eventfd_write(self.kick, 1)

    def take(self):
        """The next used entry as (slot, bytes), or None."""
        if self.index_of[(self.used + 2) // 2] == self.cons:
            return None
        entry = struct.unpack_from("<II", self.vm.ram,
                                   self.used + 4 + 8 * (self.cons % QUEUE))
        self.cons = (self.cons + 1) & 0xffff
        return entry

    def close(self):
        os.close(self.kick)
        os.close(self.call)


class Talker:
    """Who speaks the protocol: it has request() and next_event()."""

    epoch = None

    def expect(self, kind, **fields):
        event = self.next_event()
        assert event is not None, f"no event, {kind} was expected"
        assert event.type == kind, f"{event}, {kind} was expected"
        for key, value in fields.items():
            assert getattr(event, key) == value, (event, key, value)
        return event

    def expect_nothing(self, timeout=0.1):
        event = self.next_event(timeout)
        assert event is None, event

    def expect_gone(self):
        """The switch ends the connection."""
        try:
            event = self.next_event(5)
        except (Gone, OSError):
            return
        raise AssertionError(f"still connected, {event}")

    def hello(self, version=2, features=0):
        attach = self.expect(ATTACH)
        self.epoch = attach.epoch
        self.send_hello(version, features)
        return self.expect(WELCOME)

    def send_hello(self, version=2, features=0):
        self.request(HELLO, struct.pack("<IIQQ", version, 0, features,
                                        self.epoch))

    def listen(self, listener, address, port, v6only=0, tx=0, rx=0, room=0):
        self.request(LISTEN, struct.pack("<IBxH", listener, v6only, room) +
                     name(address, port) + struct.pack("<II", tx, rx))
        return self.expect(LISTENING, listener=listener).error

    def connect(self, cookie, local, remote, tx=0, rx=0, flags=0):
        self.request(CONNECT, struct.pack("<IIII", cookie, tx, rx, flags) +
                     name(*local) + name(*remote))

    def accept(self, offer, room=0):
        self.request(ACCEPT, offer.id + struct.pack("<II", room, 0))


class FakeVm(Talker):
    """See the module's text. Attaches at once unless told otherwise."""

    def __init__(self, path, attach=True, announce=True, buffers=QUEUE):
        self.announce = announce
        self.maps = {}          # stride offset -> (mmap, bytes, writable)
        self.pending = []       # events read and not asked for yet
        self.map_requests = self.unmap_requests = 0
        self.refuse_maps = False
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.ram_fd = os.memfd_create("ram")
        os.ftruncate(self.ram_fd, RAM)
        self.ram = mmap.mmap(self.ram_fd, RAM)
        self.queues = [Queue(self, i, 0x40000 * (i + 1)) for i in range(3)]
        self.nr_buffers = buffers
        if attach:
            self.attach()

    # The hypervisor's side.

    def send(self, request, body=b"", fds=(), flags=1):
        raw = HEADER.pack(request, flags, len(body)) + body
        try:
            if fds:
                socket.send_fds(self.socket, [raw], list(fds))
            else:
                self.socket.sendall(raw)
        except OSError as error:
            raise Gone(str(error)) from error

    def receive(self):
        raw = self.read_all(self.socket, HEADER.size)
        request, flags, size = HEADER.unpack(raw)
        assert flags & 4, flags
        return request, self.read_all(self.socket, size)

    @staticmethod
    def read_all(sock, size):
        raw = b""
        while len(raw) < size:
            sock.settimeout(5)
            try:
                part = sock.recv(size - len(raw))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Gone("closed")
            raw += part
        return raw

    def ask(self, request, body=b"", fds=()):
        """A request with an answer of its own."""
        self.send(request, body, fds)
        got, reply = self.receive()
        assert got == request, (got, request)
        return reply

    def tell(self, request, body=b"", fds=()):
        """A request that the switch acknowledges."""
        self.send(request, body, fds, flags=9)
        got, reply = self.receive()
        assert got == request, (got, request)
        assert struct.unpack("<Q", reply)[0] == 0, (request, reply)

    def negotiate(self):
        features, = struct.unpack("<Q", self.ask(1))
        assert features & 1 << 32 and features & 1 << 30, hex(features)
        protocol, = struct.unpack("<Q", self.ask(15))
        assert protocol & 1 << 22, hex(protocol)
        self.send(16, struct.pack("<Q", protocol))
        assert struct.unpack("<Q", self.ask(17))[0] == 3
        shmem = self.ask(44)
        assert struct.unpack_from("<IIQ", shmem) == (1, 0, 64 << 30)
        self.ask(36)
        self.backend, theirs = socket.socketpair()
        self.tell(21, fds=[theirs.fileno()])
        theirs.close()
        self.tell(3)
        self.tell(2, struct.pack("<Q", features))

    def region(self, guest, size, user, offset=0):
        return struct.pack("<QQQQQ", 0, guest, size, user, offset)

    def add_ram(self):
        self.tell(37, self.region(RAM_GUEST, RAM, RAM_USER), [self.ram_fd])

    def set_queue(self, i):
        queue = self.queues[i]
        self.tell(8, struct.pack("<II", i, QUEUE))
        self.tell(10, struct.pack("<II", i, 0))
        self.tell(9, struct.pack("<IIQQQQ", i, 0, RAM_USER + queue.desc,
                                 RAM_USER + queue.used,
                                 RAM_USER + queue.avail, 0))
        self.tell(12, struct.pack("<Q", i), [queue.kick])
        self.tell(13, struct.pack("<Q", i), [queue.call])

    def enable(self):
        for i in range(3):
            self.tell(18, struct.pack("<II", i, 1))

    def post_event_buffers(self, count):
        queue = self.queues[1]
        for slot in range(count):
            queue.set_desc(slot, RAM_GUEST + queue.buffer(slot), 256, 2)
            queue.post(slot)

    def attach(self):
        self.negotiate()
        self.add_ram()
        self.start()

    def start(self):
        """Fresh queues, as after a reset of the device."""
        for queue in self.queues:
            self.ram[queue.avail:queue.avail + 4] = bytes(4)
            self.ram[queue.used:queue.used + 4] = bytes(4)
            queue.prod = queue.cons = 0
        self.post_event_buffers(self.nr_buffers)
        for i in range(3):
            self.set_queue(i)
        self.enable()

    def reset(self):
        """What QEMU does when the guest resets the device."""
        for i in range(3):
            self.tell(18, struct.pack("<II", i, 0))
        for i in range(3):
            self.ask(11, struct.pack("<II", i, 0))
        self.pending.clear()
        for offset, (_, size, _) in list(self.maps.items()):
            del self.maps[offset]
            self.withdraw(offset, size)

    def withdraw(self, offset, size):
        if self.announce:
            self.tell(38, self.region(WINDOW_GUEST + offset, size,
                                      RAM_USER * 2 + offset))

    def serve_backend(self):
        """Answer one request of the back-end channel."""
        raw, fds, _, _ = socket.recv_fds(self.backend, HEADER.size + 40, 1)
        if not raw:
            raise Gone("back-end channel")
        request, flags, size = HEADER.unpack_from(raw)
        assert flags == 9 and size == 40
        shmid, at, offset, size, access = struct.unpack_from(
            "<B7xQQQQ", raw, HEADER.size)
        assert shmid == 0 and at == 0 and offset % SEGMENT == 0
        result = 0
        if request == 9:
            self.map_requests += 1
            assert offset not in self.maps, "mapped over a mapping"
            if self.refuse_maps:
                result = 1
        else:
            assert request == 10
            self.unmap_requests += 1
            assert offset in self.maps, "unmapped nothing"
        self.backend.sendall(HEADER.pack(request, 5, 8) +
                             struct.pack("<Q", result))
        if request == 9 and not result:
            self.maps[offset] = (mmap.mmap(fds[0], size), size, access)
            if self.announce:
                self.tell(37, self.region(WINDOW_GUEST + offset, size,
                                          RAM_USER * 2 + offset), fds)
        elif request == 10:
            del self.maps[offset]
            self.withdraw(offset, size)
        for fd in fds:
            os.close(fd)

    # The guest's side.

    def request(self, kind, body):
        raw = struct.pack("<HHI", kind, 8 + len(body), 0) + body
        self.put(0, raw)

    def put(self, i, raw):
        queue = self.queues[i]
        while queue.take():
            pass
        slot = queue.prod % QUEUE
        at = queue.buffer(slot)
        self.ram[at:at + len(raw)] = raw
        queue.set_desc(slot, RAM_GUEST + at, len(raw))
        queue.post(slot)
        queue.notify()

    def doorbell(self, link):
        self.put(2, struct.pack("<II", link, 0))

    def poll_event(self):
        used = self.queues[1].take()
        if used is None:
            return None
        slot, size = used
        at = self.queues[1].buffer(slot)
        event = Event(bytes(self.ram[at:at + size]))
        if self.nr_buffers == QUEUE:
            self.queues[1].post(slot)
            self.queues[1].notify()
        return event

    def next_event(self, timeout=5):
        """The next event, or None when none comes in time."""
        end = time.monotonic() + timeout
        while True:
            if self.pending:
                return self.pending.pop(0)
            event = self.poll_event()
            if event:
                return event
            left = end - time.monotonic()
            if left <= 0:
                return None
            fds = [self.queues[1].call, self.socket, self.backend]
            ready, _, _ = select.select(fds, [], [], left)
            if self.queues[1].call in ready:
                os.eventfd_read(self.queues[1].call)
            if self.backend in ready:
                self.serve_backend()
            elif self.socket in ready:
                try:
                    data = self.socket.recv(1, socket.MSG_PEEK)
                except OSError:
                    data = b""
                if not data:
                    raise Gone("closed")

    def close(self):
        self.socket.close()
        if hasattr(self, "backend"):
            self.backend.close()
        for queue in self.queues:
            queue.close()
        self.queues = []
        os.close(self.ram_fd)
