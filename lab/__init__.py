# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: builds guest images and a hypervisor, and runs VMs from them.

Used by the demo, the tests and the benchmarks, as a command (``lab/lab``) or
as a package::

    from lab.cluster import Cluster

    with Cluster(2, net="circuit") as cluster:
        result = cluster.vms[0].exec(["uname", "-r"])
        assert result.rc == 0

Only the standard library of Debian 12's Python is needed.
"""
