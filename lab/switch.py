# SPDX-License-Identifier: GPL-2.0-or-later
"""The switch of a cluster: vmcircuitd, its keeper, configuration and log.

The keeper is the daemon that the lab starts; it runs the switch, starts it
again when it dies, and keeps its connections to QEMU meanwhile.
"""

import os
import signal
import stat
import time

from lab import configuration, place
from lab.process import Daemon
from lab.report import LabError

START_TIMEOUT_S = 10


class Switch:
    """vmcircuitd for the VMs of a cluster, which are its clients.

    uplink: its settings, see lab.configuration, or None. prefix: words before
    its command, for the namespace that it shall run in.
    """

    def __init__(self, state, vms, network="lab", uplink=None, prefix=()):
        self.state, self.vms, self.network = state, vms, network
        self.uplink, self.prefix = uplink, prefix
        self.config = state / "switch.conf"
        self.control = state / "control.sock"
        # For processes of the host that are among the VMs.
        self.endpoint = state / "host.sock"
        self.daemon = Daemon("the switch", state / "switch.pid",
                             state / "switch.log", self.config)

    @property
    def program(self):
        """VMCIRCUITD, or what the checkout built."""
        return os.environ.get("VMCIRCUITD") or str(
            place.CHECKOUT / "build/switch/vmcircuitd")

    @property
    def keeper(self):
        """Stands where meson builds it, beside the switch."""
        return os.path.join(os.path.dirname(self.program),
                            "../keeper/vmcircuit-keeper")

    def pid(self):
        """The pid of the switch's own process, or None."""
        keeper = self.daemon.pid()
        if keeper is None:
            return None
        with open(f"/proc/{keeper}/task/{keeper}/children") as file:
            children = file.read().split()
        return int(children[0]) if children else None

    def configure(self):
        """Write the configuration as the settings are now."""
        self.config.write_text(configuration.write(
            self.control, self.endpoint, self.vms, self.network, self.uplink))

    def running(self):
        return self.daemon.pid() is not None

    def start(self):
        """Start the switch and wait until it listens for every VM.

        An existing configuration is kept, so that a test may change it.
        """
        if self.running():
            raise LabError("the switch runs already: 'lab/lab switch stop' "
                           "first")
        if not os.access(self.program, os.X_OK):
            raise LabError(f"there is no switch at {self.program}: build it "
                           "(make) or set VMCIRCUITD")
        if not self.config.exists():
            self.configure()
        sockets = [vm.path("sock") for vm in self.vms]
        for path in (*sockets, self.control, self.endpoint):
            path.unlink(missing_ok=True)
        self.daemon.start([*self.prefix, self.keeper, self.program,
                           "--config", self.config])
        end = time.monotonic() + START_TIMEOUT_S
        while not all(is_socket(path) for path in sockets):
            dead = not self.running()
            if dead or time.monotonic() > end:
                self.daemon.kill()
                tail = "\n".join(self.log().splitlines()[-8:])
                raise LabError(
                    f"the switch {'ended' if dead else 'made no sockets'}; "
                    f"its log {self.daemon.log_file} ends with:\n{tail}")
            time.sleep(0.01)

    def stop(self):
        """End it in order. Return False if it had to be killed."""
        return self.daemon.stop()

    def crash(self):
        """End it as a fault of its own does; the keeper starts another."""
        old = self.pid()
        if old is None:
            raise LabError("there is no switch to end: 'lab/lab switch start'")
        os.kill(old, signal.SIGKILL)
        self._wait_for_another(old)

    def restart(self):
        """End it in order and start it again, as for a new version."""
        old = self.pid()
        os.kill(self.daemon.pid(), signal.SIGUSR1)
        self._wait_for_another(old)

    def reload(self):
        """Let it read its configuration again; returns at once."""
        os.kill(self.pid(), signal.SIGHUP)

    def kill(self):
        """End it and its keeper: VMs lose it for good."""
        keeper, switch = self.daemon.pid(), self.pid()
        if keeper is not None and switch is not None:
            os.kill(keeper, signal.SIGSTOP)     # or it starts another
            os.kill(switch, signal.SIGKILL)
        self.daemon.kill()

    def _wait_for_another(self, old):
        end = time.monotonic() + START_TIMEOUT_S
        while self.pid() in (None, old):
            if time.monotonic() > end or not self.running():
                raise LabError("the keeper did not start the switch again; "
                               f"look into {self.daemon.log_file}")
            time.sleep(0.005)

    def log(self):
        return self.daemon.log()


def is_socket(path):
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
