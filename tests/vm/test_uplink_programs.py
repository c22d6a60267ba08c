# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that nobody changed, in guests without a network card, with their
counterparts outside.
"""

import pytest

import programs
from programs import make_file, serve, url

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def file(server):
    return make_file(server)


@pytest.fixture
def nginx(server, family, file):
    """nginx outside, with the file; its port."""
    port = server.run("unused_port()")
    programs.nginx(server, family, port)
    return port


def test_curl_fetches_a_file_from_nginx(server, client, family, nginx, file):
    code, out, err = client.run(
        f"program('sh', '-c', \"curl -sgf '{url(server, family, nginx)}' | "
        "sha256sum\")", 40)
    assert code == 0, err
    assert out.split()[0] == file


def test_python_fetches_a_file_from_nginx(server, client, family, nginx,
                                          file):
    code, out, err = client.run(f"""
program("python3", "-c", '''
import hashlib, urllib.request
data = urllib.request.urlopen("{url(server, family, nginx)}").read()
print(hashlib.sha256(data).hexdigest())
''')
""", 40)
    assert (code, out.strip()) == (0, file), err


def test_wrk_loads_nginx_without_errors(server, client, family, nginx):
    server.run("open('/tmp/www/small', 'w').write('x' * 1000)")
    code, out, err = client.run(
        f"program('wrk', '-t1', '-c20', '-d2s', "
        f"'{url(server, family, nginx, 'small')}')", 40)
    assert code == 0, err
    assert "Requests/sec" in out
    assert "Socket errors" not in out and "Non-2xx" not in out


def test_openssl_speaks_tls(server, client, family):
    port = server.run("unused_port()")
    code, _, err = server.run("""
program("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/tmp/key",
        "-out", "/tmp/cert", "-days", "2", "-subj", "/CN=peer")
""")
    assert code == 0, err
    serve(server, port, "openssl", "s_server",
          "-6" if family == "inet6" else "-4", "-accept", str(port), "-key",
          "/tmp/key", "-cert", "/tmp/cert", "-www", "-quiet")
    host = url(server, family, port, "").split("/")[2]
    code, out, err = client.run(
        "program('sh', '-c', \"printf 'GET / HTTP/1.0\\\\r\\\\n\\\\r\\\\n' | "
        f"openssl s_client -quiet -connect '{host}'\")", 40)
    assert "s_server" in out, err


@pytest.fixture
def sshd(server, client):
    """sshd outside, which lets the guest in; its port."""
    return programs.sshd(server, client)


@pytest.mark.one_family
@pytest.mark.parametrize("mib", [
    16, pytest.param(1024, marks=pytest.mark.long)])
def test_scp_copies_a_big_file_there_and_back(server, client, sshd, mib):
    # Sparse, so that it fits into a guest; each 4 MiB differs.
    want = client.run(f"""
with open("/tmp/big", "wb") as out:
    out.truncate({mib} << 20)
    for i in range({mib} // 4):
        out.seek(i * (4 << 20) + i)
        out.write(random.Random(i).randbytes(65536))
program("sha256sum", "/tmp/big", timeout=300)[1].split()[0]
""", 300)
    scp = f"scp -q -P {sshd} {programs.SSH_OPTIONS}"
    code, out, err = client.run(
        f"program('sh', '-c', '{scp} /tmp/big ' + SERVER + ':/tmp/big', "
        "timeout=600)", 600)
    assert code == 0, err
    assert server.run("program('sha256sum', '/tmp/big')[1].split()[0]",
                      60) == want
    code, out, err = client.run(
        f"program('sh', '-c', 'rm /tmp/big; mkfifo /tmp/pipe; "
        "sha256sum /tmp/pipe & "
        f"{scp} -O ' + SERVER + ':/tmp/big /tmp/pipe; wait', timeout=600)",
        600)
    assert code == 0, err
    assert out.split()[0] == want
