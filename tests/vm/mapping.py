# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cases of mapped circuits have in common: the texts that run in the
guests, and the fixtures that bring them there.
"""

import pytest

from world import HERE

HELPERS = (HERE / "mapped.py").read_text()
SCRIBBLER = (HERE / "scribbler.py").read_text()


@pytest.fixture
def helpers(server, client):
    for guest in {server, client}:
        guest.run(HELPERS)


@pytest.fixture
def mapped(client, helpers, joined):
    """The dialled end is mapped: `m` in the client."""
    client.run("m = Mapped(c)")


def stop_bystanders(guests, bystanders):
    """End traffic() in the guests: none lost a byte; the rounds of each."""
    rounds = []
    for guest, bystander in zip(guests, bystanders):
        guest.run("stop.set()")
        wrong, right = bystander.join(30)
        assert wrong == 0
        rounds.append(right)
    return rounds
