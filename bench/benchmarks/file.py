# SPDX-License-Identifier: GPL-2.0-or-later
"""scp of a big file, between file systems in memory."""

from bench.benchmark import Benchmark, Case, Run

PORT = 2222
FILE_BYTES = 32 << 20
# Nothing of this leaves the guests, which are gone afterwards.
OPTIONS = ("-q", "-o", "StrictHostKeyChecking=no", "-o",
           "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
           "-i", "/tmp/key")
TIMED = ('begin=$(date +%s%N) && scp "$@" && '
         'echo $begin $(date +%s%N)')


class Scp(Benchmark):
    name = "scp"
    is_quick = False
    has_costs = True

    def cases(self, plan):
        return [Case("a file", FILE_BYTES, 1)]

    def prepare(self, world, subjects, plan):
        client, server = world.client, world.server
        client.run("sh", "-c", f"head -c {FILE_BYTES} /dev/urandom "
                   ">/tmp/file && rm -f /tmp/key && "
                   "ssh-keygen -q -t ed25519 -N '' -f /tmp/key")
        server.run("sh", "-c", "mkdir -p -m 700 /root/.ssh /run/sshd && "
                   "cat >/root/.ssh/authorized_keys && ssh-keygen -A",
                   input=client.run("cat", "/tmp/key.pub"))
        for subject in subjects:
            port = subject.port(PORT)
            world.serve(subject, "/usr/sbin/sshd", "-D", "-p", port, "-o",
                        "UsePAM=no", port=port)

    def once(self, world, subject, case, plan):
        out = world.client.run(
            "sh", "-c", TIMED, "sh", *OPTIONS, "-P", subject.port(PORT),
            "/tmp/file", f"root@{subject.address(world)}:/tmp/copy",
            group=subject.group, timeout=120)
        begin, end = map(int, out.split())
        return Run({"throughput": (case.size * 1e9 / (end - begin),
                                   "bytes/s")}, nr_bytes=case.size)


BENCHMARKS = (Scp,)
