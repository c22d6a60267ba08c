# SPDX-License-Identifier: GPL-2.0-or-later
"""Modes of the cases, and what every case must leave behind.

A case that takes `server` and `client` runs for each address family, and with
the two ends in two VMs (remote) and both in one (local). `listener` and `joined`
give it what most cases begin with.
"""

import pytest

from world import HostWorld, wait_until

FAMILIES = ["inet", "inet6"]


def pytest_addoption(parser):
    parser.addoption("--transport", default="circuit",
                     choices=["circuit", "tcp", "host"],
                     help="what joins the guests; tcp and host judge the "
                     "cases by Linux' own TCP")
    parser.addoption("--long", action="store_true",
                     help="run the long cases too")


def pytest_configure(config):
    for text in (
            "no_circuit: the case connects nothing",
            "fallback(*reasons): sockets may or must fall back to TCP",
            "own_proof: the case itself proves which sockets are circuits",
            "remote: only with the ends in two VMs",
            "one_family: only IPv4",
            "any_family: IPv6 only with --long",
            "inet6: only IPv6",
            "of_names: of names and connecting, so in both families between "
            "two VMs, too",
            "circuit: only over circuits, TCP has nothing like it",
            "long: only with --long",
            "uplink: in the guests of the uplink, see uplinkworld.py"):
        config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc):
    def has(name):
        return metafunc.definition.get_closest_marker(name) is not None

    if "family" not in metafunc.fixturenames:
        return
    long = metafunc.config.getoption("--long")
    families = ["inet6"] if has("inet6") else \
        ["inet"] if has("one_family") or has("any_family") and not long else \
        FAMILIES
    # What connects nothing is the same in one VM and in two.
    places = ["remote"] if has("remote") or has("no_circuit") else \
        ["remote", "local"]
    modes = [(family, place) for place in places for family in families]
    # Within a VM the families differ no more than between two; and what a
    # connection does, once it is made, has nothing of the family in it. So
    # for every day each family and each place is there once, and all four
    # only for --long, or where the case is of names and of connecting.
    if len(modes) == 4 and not long:
        modes.remove(("inet6", "local"))
        if not has("of_names"):
            modes = [("inet", "remote"), ("inet6", "local")]
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("family, place", modes,
                             ids=["-".join(mode) for mode in modes])
    else:
        metafunc.parametrize("family", families)


def pytest_collection_modifyitems(config, items):
    """Leave out what the options leave out: not skipped, not there.

    Cases that end VMs or the switch come last, and those of the uplink, which
    have guests of their own, after all others.
    """
    rough = ("test_switch.py", "test_hostile.py", "test_datagram_hostile.py",
             "test_datagram_death.py", "test_death.py",
             "test_uplink_death.py")
    items.sort(key=lambda item: (
        item.get_closest_marker("uplink") is not None,
        rough.index(item.path.name) if item.path.name in rough else -1))
    circuit = config.getoption("--transport") == "circuit"
    long = config.getoption("--long")
    chosen, left = [], []
    for item in items:
        out = (item.get_closest_marker("circuit") and not circuit or
               item.get_closest_marker("long") and not long)
        (left if out else chosen).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = chosen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, "failed_" + report.when, report.failed)
    world = item.funcargs.get("world")
    if report.failed and world and report.when in ("call", "teardown"):
        for title, text in world.evidence():
            report.sections.append((title, text))


@pytest.fixture(scope="session")
def session_world(request):
    """The guests that most cases share."""
    transport = request.config.getoption("--transport")
    if transport == "host":
        world = HostWorld()
    else:
        from labworld import LabWorld
        # The third VM is the bystander whom nothing may disturb.
        world = LabWorld(transport, 3 if transport == "circuit" else 2)
    try:
        world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture(scope="session")
def session_uplink():
    """The guests of the uplink's cases, and what lies outside."""
    from uplinkworld import UplinkWorld
    world = UplinkWorld()
    try:
        world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture
def world(request):
    """The guests, and the proofs that each case owes."""
    is_uplink = request.node.get_closest_marker("uplink")
    yield from guarded(request, request.getfixturevalue(
        "session_uplink" if is_uplink else "session_world"))


def guarded(request, world):
    """Begin a case in a world, and hold it to what it must leave behind."""
    world.begin()
    yield world
    faults = world.end(request.node)
    # What a failed case leaves behind says nothing new.
    if faults and not getattr(request.node, "failed_call", False):
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.fixture
def ends(world, family, place):
    """(server, client): guests, whose helpers know the case's addresses."""
    world.set_local(place == "local")
    server = world.guests[0]
    client = server if place == "local" else world.guests[1]
    number = 2 if family == "inet" else 10      # AF_INET, AF_INET6
    for guest in {server, client}:
        guest.set(FAMILY=number, SERVER=server.address(family),
                  CLIENT=client.address(family), PORT=None,
                  ANY="0.0.0.0" if family == "inet" else "::",
                  FAMILY_NAME=family)
    return server, client


@pytest.fixture
def server(ends):
    return ends[0]


@pytest.fixture
def client(ends):
    return ends[1]


@pytest.fixture
def listener(server, client):
    """A listener `s` in the server; connect() of the client goes there."""
    port = server.run("s = listen(); port_of(s)")
    for guest in {server, client}:
        guest.set(PORT=port)
    return port


@pytest.fixture
def joined(server, client, listener):
    """A connection: `c` in the client, accepted as `a` in the server."""
    client.run("c = connect()")
    server.run("a, name = s.accept()")


@pytest.fixture
def both_kinds(world, client):
    """The client with local circuits, and TCP for who asks for TCP.

    Programs there tell them apart by the protocol numbers.
    """
    world.tool(client, "up", "--no-redirect")
    world.set_local(True)
    yield client
    world.tool(client, "up")
    world.wait_attached()


@pytest.fixture
def eventually():
    return wait_until
