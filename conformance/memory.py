# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a suite's circuits gave everything back.

A Snapshot is what guest and switch have allocated. Slab caches are shrunk
before they are counted, so that what is only cached counts for nothing.
"""

import re

READ = """
sync; echo 3 >/proc/sys/vm/drop_caches
for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache; done 2>/dev/null
cat /proc/slabinfo /proc/meminfo /proc/net/sockstat /proc/net/sockstat6
echo circuits $(tail -n +2 /proc/net/vmcircuit/circuits | wc -l)
"""

# Numbers of the switch: of circuits, of mapped segments, and of rings in them.
OF_SWITCH = ("circuits_now", "segments_mapped", "ring_bytes")
# What is made for each socket: none may stay behind, but for those of
# programs that start and end beside the suite.
SOCKETS = ("VMCIRCUIT", "VMCIRCUITv6", "TCP", "TCPv6", "UDP", "UDPv6",
           "sock_inode_cache")
SOCKETS_SLACK = 4
# Of everything else, what a kernel of programs that come and go keeps.
CACHE_SLACK_BYTES = 512 << 10
SLAB_SLACK_KIB = 4096
VMALLOC_SLACK_KIB = 1024
# The kernel's own memory of files, processes and namespaces.
OTHERS = re.compile(r"dentry|inode|filp|task|vm_area|anon_vma|pid|cred|mm_|"
                    r"files|sigh|signal|radix|maple|buffer_head|kernfs|"
                    r"ovl|erofs|jbd|shmem|proc_|names|fs_|kmem_cache|"
                    r"page->ptl|cgroup|mnt_|lsm_|ep_|eventp|task_delay|"
                    r"key_|numa_policy|vmap_area|pool_workqueue")


class Snapshot:
    """Numbers of one moment. text: what READ printed; switch: a line of
    vmcircuitctl."""

    def __init__(self, text, switch):
        self.caches = {
            name: (int(active), int(size)) for name, active, size in
            re.findall(r"^(\S+) +(\d+) +\d+ +(\d+) +\d+ +\d+ : ", text, re.M)}
        self.meminfo = {name: int(value) for name, value in
                        re.findall(r"^(\w+): +(\d+) kB$", text, re.M)}
        self.sockets = {f"{family} {name}": int(value)
                        for family, rest in
                        re.findall(r"^(\w+): (inuse .*)$", text, re.M)
                        for name, value in re.findall(r"(\w+) (\d+)", rest)
                        if name == "inuse"}
        self.circuits = int(re.search(r"^circuits (\d+)", text, re.M)[1])
        self.switch = switch

    def beyond(self, before):
        """Sentences about what is more than before, and should not be."""
        found = []
        if self.circuits > before.circuits:
            found.append(f"the guest holds {self.circuits} circuits, "
                         f"{before.circuits} before")
        for name in OF_SWITCH:
            if self.switch.get(name, 0) > before.switch.get(name, 0):
                found.append(f"the switch counts {self.switch[name]} {name}, "
                             f"{before.switch.get(name, 0)} before")
        for name, (active, size) in self.caches.items():
            old = before.caches.get(name, (0, size))[0]
            slack = SOCKETS_SLACK if name in SOCKETS else \
                CACHE_SLACK_BYTES // size
            if not OTHERS.search(name) or name == "sock_inode_cache":
                if active - old > slack:
                    found.append(f"slab {name}: {active} objects of {size} "
                                 f"bytes, {old} before")
        for name, slack in (("SUnreclaim", SLAB_SLACK_KIB),
                            ("VmallocUsed", VMALLOC_SLACK_KIB)):
            grown = self.meminfo[name] - before.meminfo[name]
            if grown > slack:
                found.append(f"{name} grew by {grown} KiB")
        return found

    def summary(self):
        """For the report's JSON."""
        return {"circuits": self.circuits,
                **{name: self.switch[name] for name in OF_SWITCH},
                "SUnreclaim": self.meminfo["SUnreclaim"],
                "VmallocUsed": self.meminfo["VmallocUsed"],
                "sockets": {name: self.caches.get(name, (0, 0))[0]
                            for name in SOCKETS}}
