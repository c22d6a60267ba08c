# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that send datagrams, unmodified, through the uplink: name servers
and who asks them, iperf3, QUIC.
"""

import json

import pytest

import uplinkworld
from programs import host_part, serve

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]

one_family = pytest.mark.one_family

# Names for dnsmasq; many TXT records make a large answer, for a line of its
# configuration is short.
ZONE = """
no-resolv
no-hosts
user=root
group=root
pid-file=
bind-interfaces
address=/peer.test/192.0.2.1
address=/peer.test/2001:db8::1
{large}
"""
LARGE = "\n".join(
    f"txt-record={name}.test,{','.join(['x' * 100] * count)}"
    for name, count in [("medium", 9)] + [("large", 9)] * 7)


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


def serve_names(end, *addresses, port=53):
    """dnsmasq at an end."""
    end.write("/tmp/dnsmasq.conf", ZONE.format(large=LARGE))
    words = [f"--listen-address={address}" for address in addresses]
    serve(end, port, "dnsmasq", "-k", "-C", "/tmp/dnsmasq.conf",
          f"--port={port}", "--edns-packet-max=4096", *words,
          is_datagram=True)


@one_family
def test_the_c_library_finds_names_over_datagrams(world, server, client):
    serve_names(server, "192.0.2.53")
    before = world.switch_stats(client)["datagrams_in"]
    code, out, err = client.run(
        "program('getent', 'ahosts', 'peer.test')", 40)
    assert code == 0, err
    assert {line.split()[0] for line in out.splitlines()} == \
        {"192.0.2.1", "2001:db8::1"}
    assert world.switch_stats(client)["datagrams_in"] > before


@one_family
@pytest.mark.parametrize("name, options, is_datagram", [
    ("medium", ["+bufsize=4096"], True),
    ("medium", ["+noedns", "+ignore"], True),
    ("medium", ["+noedns"], False),
    ("large", ["+bufsize=1232"], False)])
def test_dig_gets_large_and_truncated_answers(server, client, name, options,
                                              is_datagram):
    """What does not fit is asked for once more over TCP."""
    serve_names(server, "192.0.2.53")
    code, out, err = client.run(
        f"program('dig', '+tries=1', '+time=8', *{options!r}, "
        f"'{name}.test', 'TXT')", 40)
    assert code == 0, out + err
    assert ("(UDP)" in out) == is_datagram, out
    if "+ignore" in options:
        assert " tc " in out or " tc;" in out, out
    else:
        assert out.count("x" * 100) == (9 if name == "medium" else 63)


def test_dig_asks_a_published_name_server_in_a_guest(world, family):
    guest, peer = world.set_ends(family, world.nat, world.outside)
    serve_names(guest, guest.address(family), port=uplinkworld.PUBLISHED)
    for _ in range(5):
        code, out, err = peer.run(
            f"program('dig', '@{world.host.address(family)}', '-p', "
            f"'{uplinkworld.PUBLISHED}', '+tries=1', '+time=8', '+short', "
            "'peer.test')", 40)
        assert (code, out.strip()) == (0, "192.0.2.1"), out + err


@one_family
@pytest.mark.parametrize("options", [[], ["-R"]])
def test_iperf3_sends_datagrams(server, client, options):
    port = server.run("unused_port()")
    server.run(f"process = start('iperf3', '-s', '-1', '-p', '{port}')")
    server.run(f"eventually(lambda: ':{port}' in "
               "program('ss', '-Hltn')[1], 15)")
    code, out, err = client.run(
        f"program('iperf3', '-u', '-c', SERVER, '-p', '{port}', '-b', '20M', "
        f"'-l', '1400', '-t', '2', '-J', *{options!r})", 60)
    assert code == 0, out + err
    total = json.loads(out)["end"]["sum"]
    assert total["packets"] > 1000
    # On a busy machine a receiver may be late.
    assert total["lost_percent"] < 50


# -- QUIC

def quic_server(end, address, port):
    """A web server over HTTP/3; the SHA-256 of /file."""
    digest = end.run("""
os.makedirs("/tmp/quic", exist_ok=True)
data = pattern(1 << 20)
with open("/tmp/quic/file", "wb") as out:
    out.write(data)
hashlib.sha256(data).hexdigest()
""")
    code, _, err = end.run(
        "program('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', "
        "'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', "
        "'/tmp/quic/key', '-out', '/tmp/quic/cert', '-days', '9', '-subj', "
        "'/CN=peer.test')", 40)
    assert code == 0, err
    serve(end, port, "gtlsserver", "-q", "-d", "/tmp/quic", address,
          str(port), "/tmp/quic/key", "/tmp/quic/cert", is_datagram=True)
    return digest


def quic_fetch(end, address, port):
    """The SHA-256 of what an HTTP/3 client gets."""
    end.run("import shutil; shutil.rmtree('/tmp/got', ignore_errors=True); "
            "os.makedirs('/tmp/got')")
    code, out, err = end.run(
        "program('gtlsclient', '-q', '--exit-on-all-streams-close', "
        f"'--download', '/tmp/got', {address!r}, '{port}', "
        f"'https://{host_part(address)}:{port}/file', timeout=50)", 60)
    assert code == 0, out + err
    return end.run("hashlib.sha256(open('/tmp/got/file', 'rb').read())"
                   ".hexdigest()")


def test_http3_from_a_guest_to_the_outside(server, client, family):
    port = server.run("unused_port()")
    digest = quic_server(server, server.address(family), port)
    assert quic_fetch(client, server.address(family), port) == digest


@one_family
def test_http3_from_the_outside_to_a_guest(world, family):
    guest, peer = world.set_ends(family, world.nat, world.outside)
    digest = quic_server(guest, guest.address(family), uplinkworld.PUBLISHED)
    assert quic_fetch(peer, world.host.address(family),
                      uplinkworld.PUBLISHED) == digest


@one_family
def test_http3_from_guest_to_guest(world, family):
    server, client = world.set_ends(family, world.routed, world.nat)
    port = server.run("unused_port()")
    digest = quic_server(server, server.address(family), port)
    assert quic_fetch(client, server.address(family), port) == digest
