# SPDX-License-Identifier: GPL-2.0-or-later
"""The frequency of the processor's time stamp counter.

An emulated guest reads the machine's counter, and at boot measures it against
emulated timers, which come late on a busy machine: guests were seen whose
clock ran nearly five times too fast for all their life. So they are told.
"""

import ctypes
import functools
import mmap
import time

SAMPLE_S = 0.1
TRIES = 50
# rdtsc; shl $32, %rdx; or %rdx, %rax; ret
READ_COUNTER = bytes.fromhex("0f31 48c1e220 4809d0 c3")


@functools.cache
def khz():
    """Thousands a second, within some millionths."""
    with mmap.mmap(-1, mmap.PAGESIZE,
                   prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
                   ) as page:
        page.write(READ_COUNTER)
        start = ctypes.c_char.from_buffer(page)
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(start))
        begin_ns, begin = instant(read)
        time.sleep(SAMPLE_S)
        end_ns, end = instant(read)
        del start               # or the page cannot be unmapped
    return round((end - begin) * 1e6 / (end_ns - begin_ns))


def instant(read):
    """The clock and the counter at the same time: of some tries, the one in
    which least happened in between."""
    tries = []
    for _ in range(TRIES):
        before = time.monotonic_ns()
        counter = read()
        after = time.monotonic_ns()
        tries.append((after - before, (before + after) // 2, counter))
    return min(tries)[1:]
