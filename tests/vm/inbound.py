# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cases in which the outside calls a guest have in common: fixtures.

The server is a guest, the client a peer in the outside.
"""

import pytest

import uplinkworld


@pytest.fixture(params=["published", "routed"])
def way(request):
    """How the guest is reached: the host's address, or its own."""
    return request.param


@pytest.fixture
def ends(world, family, way):
    server = world.nat if way == "published" else world.routed
    world.set_ends(family, server, world.outside)
    if way == "published":
        world.outside.set(SERVER=world.host.address(family))
    return server, world.outside


@pytest.fixture
def entry(server, client, way):
    """The port of the guest that leads there, as PORT at both ends."""
    port = uplinkworld.PUBLISHED if way == "published" else uplinkworld.OPENED
    server.set(PORT=port)
    client.set(PORT=port)
    return port
