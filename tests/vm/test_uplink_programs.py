# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that nobody changed, in guests without a network card, with their
counterparts outside.
"""

import pytest

from uplinkworld import host_part, serve

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def file(server):
    """A file of 3 MiB in the outside; its SHA-256."""
    return server.run("""
os.makedirs("/tmp/www", exist_ok=True)
data = pattern(3 << 20)
with open("/tmp/www/file", "wb") as out:
    out.write(data)
hashlib.sha256(data).hexdigest()
""")


def url(server, family, port, path="file"):
    return f"http://{host_part(server.address(family))}:{port}/{path}"


@pytest.fixture
def nginx(server, family, file):
    """nginx outside, with the file; its port."""
    port = server.run("unused_port()")
    listen = f"[::]:{port}" if family == "inet6" else str(port)
    server.write("/tmp/nginx.conf", f"""
daemon off; pid /tmp/nginx.pid; error_log stderr; worker_processes 1;
user root;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
    fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server {{ listen {listen}; root /tmp/www; }} }}
""")
    serve(server, port, "nginx", "-c", "/tmp/nginx.conf")
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


SSHD = """
Port {port}
ListenAddress 0.0.0.0
ListenAddress ::
HostKey /tmp/ssh/host
AuthorizedKeysFile /tmp/ssh/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


@pytest.fixture
def sshd(server, client):
    """sshd outside, which lets the guest in; its port."""
    port = server.run("unused_port()")
    key = client.run("""
os.makedirs("/tmp/ssh", exist_ok=True)
program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/ssh/key")
open("/tmp/ssh/key.pub").read()
""", 40)
    server.run(f"""
os.makedirs("/run/sshd", exist_ok=True)
os.makedirs("/tmp/ssh", exist_ok=True)
program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/ssh/host")
open("/tmp/ssh/authorized", "w").write({key!r})
""")
    server.write("/tmp/ssh/config", SSHD.format(port=port))
    serve(server, port, "/usr/sbin/sshd", "-D", "-e", "-f",
          "/tmp/ssh/config")
    return port


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
    scp = (f"scp -q -P {sshd} -i /tmp/ssh/key -o StrictHostKeyChecking=no "
           "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
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
