# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of lab/lab: arguments in, calls of the package out."""

import argparse
import subprocess
import sys

from lab import buildtree, image, outside
from lab.cluster import NETS, Cluster
from lab.report import LabError, say, warn


def run_build(_):
    buildtree.ensure()
    image.ensure()


def run_build_shell(arguments):
    return buildtree.shell(tail(arguments.command) or ["bash"])


def tail(command):
    """A command given after '--', without the '--' itself."""
    return command[1:] if command[:1] == ["--"] else command


def current():
    cluster = Cluster.running()
    if not cluster:
        raise LabError("no lab is up in this checkout: start one with "
                       "'lab/lab up --vms 2'")
    return cluster


def run_up(arguments):
    running = Cluster.running()
    if running:
        run_status(arguments)
        raise LabError("a lab is up already: end it with 'lab/lab down', or "
                       "set LAB_INSTANCE to have another")
    Cluster(arguments.vms, arguments.net, arguments.payload, arguments.memory,
            arguments.cpus, arguments.name, uplink=arguments.uplink).up()


def run_down(_):
    cluster = Cluster.running()
    if not cluster:
        say("no lab is up")
        return
    cluster.down()


def run_status(_):
    cluster = current()
    for vm in cluster.vms:
        pid = vm.qemu.pid()
        addresses = (vm.virtio_addresses if cluster.virtio else []) + \
            (vm.circuit_addresses if cluster.circuit else [])
        print(f"{vm.name}\t{f'running, pid {pid}' if pid else 'dead'}\t"
              f"{vm.memory} MiB, {vm.cpus} CPU\t{' '.join(addresses)}")
    if cluster.circuit:
        pid = cluster.switch.daemon.pid()
        print(f"switch\t{f'running, pid {pid}' if pid else 'dead'}")
    if cluster.outside:
        print(f"outside\t{cluster.outside.name}\t"
              f"{outside.address()} {outside.address(family='inet6')}")
    print(f"state\t{cluster.state}")


def run_exec(arguments):
    vm = current().vm(arguments.vm)
    command = tail(arguments.command)
    if not command:
        raise LabError(f"give a command: lab/lab exec {vm.name} -- CMD…")
    data = None
    if not arguments.no_input and not sys.stdin.isatty():
        data = sys.stdin.buffer.read()
    done = vm.exec(command, data, arguments.timeout)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(done.stderr)
    return done.rc


def run_push(arguments):
    current().vm(arguments.vm).push(arguments.file, arguments.path)


def run_pull(arguments):
    current().vm(arguments.vm).pull(arguments.path, arguments.file)


def run_log(arguments):
    vm = current().vm(arguments.vm)
    sys.stdout.write(vm.qemu.log() if arguments.qemu else vm.console_log())


def run_kill(arguments):
    current().vm(arguments.vm).kill()


def run_start(arguments):
    cluster = current()
    vm = cluster.vm(arguments.vm)
    vm.start()
    if cluster.circuit:
        cluster.join(vm)


def run_switch(arguments):
    switch = current().switch
    if arguments.action == "log":
        sys.stdout.write(switch.log())
    elif arguments.action == "stop":
        if not switch.stop():
            warn("the switch did not end within 10 s of SIGTERM and was "
                 "killed")
    else:
        getattr(switch, arguments.action)()


def run_outside(arguments):
    place = current().outside
    if not place:
        raise LabError("this lab has no outside: start one with 'lab/lab up "
                       "--uplink'")
    prefix = place.host_prefix() if arguments.host else place.prefix()
    return subprocess.run([*prefix, *(tail(arguments.command) or
                                      ["bash"])]).returncode


def run_env(_):
    """Print what scripts need to reach the lab's network by themselves."""
    cluster = current()
    print(f"STATE={cluster.state}")
    print(f"NETNS={cluster.bridge.name if cluster.virtio else ''}")
    print(f"CONTROL={cluster.switch.control}")
    print(f"ENDPOINT={cluster.switch.endpoint}")
    print(f"HOST={cluster.outside.host if cluster.outside else ''}")
    print(f"OUTSIDE={cluster.outside.name if cluster.outside else ''}")


def add_to(commands):
    """Declare every command to argparse."""
    def add(name, run, text, *positional):
        parser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        for word in positional:
            parser.add_argument(word.lower(), metavar=word)
        return parser

    add("build", run_build, "build all trees: build tree (with hypervisor) "
        "and guest image")
    parser = add("build-shell", run_build_shell,
                 "run a command in the build tree, in the checkout")
    parser.add_argument("command", nargs=argparse.REMAINDER,
                        metavar="-- CMD…")

    parser = add("up", run_up, "boot VMs; return when all of them answer")
    parser.add_argument("--vms", type=int, default=2, metavar="N",
                        help="how many (default 2)")
    parser.add_argument("--net", choices=NETS, default="circuit",
                        help="their network (default circuit)")
    parser.add_argument("--memory", type=int, default=768, metavar="MIB",
                        help="of each VM (default 768)")
    parser.add_argument("--cpus", type=int, default=1, metavar="N",
                        help="of each VM (default 1)")
    parser.add_argument("--name", default="vm", metavar="PREFIX",
                        help="VMs are named PREFIX1…N (default vm)")
    parser.add_argument("--payload", metavar="DIR",
                        help="directory laid over the guests' root (default "
                        "build/guest-root if it exists)")

    parser.add_argument("--uplink", action="store_true",
                        help="let the switch lead to an outside")

    parser = add("exec", run_exec, "run a command in a VM; its output, "
                 "errors and exit code are passed on, and so is stdin "
                 "unless it is a terminal", "VM")
    parser.add_argument("-n", "--no-input", action="store_true",
                        help="do not read stdin")
    parser.add_argument("--timeout", type=float, metavar="S",
                        help="kill the command after S seconds")
    parser.add_argument("command", nargs=argparse.REMAINDER,
                        metavar="-- CMD…")
    add("push", run_push, "copy a file into a VM", "VM", "FILE", "PATH")
    add("pull", run_pull, "copy a file out of a VM", "VM", "PATH", "FILE")
    parser = add("log", run_log, "print a VM's console, kernel log included",
                 "VM")
    parser.add_argument("--qemu", action="store_true",
                        help="QEMU's own messages instead")
    add("status", run_status, "say what runs")
    add("env", run_env, "print STATE, NETNS, CONTROL, ENDPOINT, HOST and "
        "OUTSIDE for scripts")
    parser = add("outside", run_outside, "run a command outside, where guests "
                 "get by the uplink")
    parser.add_argument("--host", action="store_true",
                        help="on the host instead, beside the switch")
    parser.add_argument("command", nargs=argparse.REMAINDER,
                        metavar="-- CMD…")
    add("kill", run_kill, "SIGKILL a VM's QEMU, as a power cut", "VM")
    add("start", run_start, "start a dead VM again", "VM")
    parser = add("switch", run_switch, "handle the switch")
    parser.add_argument("action", choices=("start", "stop", "kill", "crash",
                                           "restart", "log"))
    add("down", run_down, "end everything, also after crashes")
