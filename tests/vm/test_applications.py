# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications as themselves at real work between two guests.

What arrives is compared by checksum with what was there, and the module's
counters say that the connections were circuits: the world allows no fallback,
and `made` wants the connections that an application must have made.
"""

import pytest

import redis_suite
from programs import SSH_OPTIONS, host_part, nginx, redis, serve, shell, \
    sshd, url

pytestmark = [pytest.mark.remote, pytest.mark.long]

TREE = """
def make_tree(path, seed):
    "Forty files, from nothing to 300 KiB, and a large one."
    sizes = [0, 1, 1000, 65536, 300000] * 8 + [8 << 20]
    for number, size in enumerate(sizes):
        place = f"{path}/{number % 5}"
        os.makedirs(place, exist_ok=True)
        with open(f"{place}/{number}", "wb") as out:
            out.write(pattern(size + 13 * number, seed + number % 7))

def files_of(path):
    return sorted(os.path.relpath(os.path.join(place, name), path)
                  for place, _, names in os.walk(path) for name in names)

def checksum(path):
    "Of all names and contents."
    total = hashlib.sha256()
    for name in files_of(path):
        with open(f"{path}/{name}", "rb") as file:
            total.update(name.encode() + hashlib.sha256(file.read()).digest())
    return total.hexdigest()
"""
# Files of a case before are still there.
CLEAN = "rm -rf /tmp/www /tmp/got /tmp/rsync && mkdir -p /tmp/www"


@pytest.fixture
def made(world, server, client):
    """Both have the helpers above; call it to prove that a guest has dialled
    so many circuits since."""
    for guest in (server, client):
        guest.run(TREE)
        shell(guest, CLEAN)
    before = {guest: guest.run("stats()") for guest in (server, client)}

    def prove(guest, least):
        if world.circuit:
            name = "circuits_connected"
            risen = guest.run("stats()")[name] - before[guest][name]
            assert risen >= least, f"{guest.name} dialled {risen} circuits"
    return prove


@pytest.fixture
def port(server):
    return server.run("unused_port()")


def make_tree(guest, path="/tmp/www/tree", seed=1):
    """A tree of files; its names and its checksum."""
    return guest.run(f"make_tree({path!r}, {seed}); files_of({path!r}), "
                     f"checksum({path!r})", 60)


def curl(guest, lines, flags=""):
    """One curl that does many things at once; its stdout."""
    guest.write("/tmp/curl.conf", "\n".join(lines))
    return shell(guest, f"curl -sSgf {flags} -Z --parallel-max 8 "
                 "--create-dirs -K /tmp/curl.conf", 300)


def fetch(guest, base, names, flags=""):
    """Get the files of a tree; curl's stdout, and the tree's checksum."""
    out = curl(guest, [f'url = "{base}/{name}"\noutput = "/tmp/got/{name}"'
                       for name in names], flags)
    return out, guest.run("checksum('/tmp/got')", 60)


# -- HTTP

def test_nginx_gives_a_tree_to_curl(server, client, family, made, port):
    names, want = make_tree(server)
    nginx(server, family, port)
    _, got = fetch(client, url(server, family, port, "tree"), names)
    assert got == want
    made(client, 2)


def test_nginx_takes_a_tree_from_curl(server, client, family, made, port):
    names, want = make_tree(client)
    nginx(server, family, port, "location /up/ { dav_methods PUT; "
          "create_full_put_path on; client_max_body_size 64m; }")
    base = url(server, family, port, "up")
    curl(client, [f'upload-file = "/tmp/www/tree/{name}"\n'
                  f'url = "{base}/{name}"' for name in names])
    assert server.run("checksum('/tmp/www/up')", 60) == want
    made(client, 2)


def test_nginx_and_curl_speak_tls_and_http2(server, client, family, made,
                                            port):
    names, want = make_tree(server)
    shell(server, "openssl req -x509 -newkey ec -pkeyopt "
          "ec_paramgen_curve:prime256v1 -nodes -keyout /tmp/key -out "
          "/tmp/cert -days 2 -subj /CN=vm")
    secure = server.run("unused_port()")
    listen = f"[::]:{secure}" if family == "inet6" else secure
    nginx(server, family, port, f"listen {listen} ssl; http2 on; "
          "ssl_certificate /tmp/cert; ssl_certificate_key /tmp/key;")
    base = url(server, family, secure, "tree").replace("http", "https", 1)
    out, got = fetch(client, base, names,
                     "-k --http2 -w '%{http_version}\\n'")
    assert got == want
    assert out.split() == ["2"] * len(names)
    made(client, 1)


def test_python_gives_a_tree_to_curl(server, client, family, made, port):
    names, want = make_tree(server)
    serve(server, port, "python3", "-m", "http.server", str(port), "--bind",
          "::" if family == "inet6" else "0.0.0.0", "--directory",
          "/tmp/www/tree")
    _, got = fetch(client, url(server, family, port, ""), names)
    assert got == want
    # HTTP/1.0: a connection for each.
    made(client, len(names))


HAPROXY = """
global
    maxconn 400
defaults
    mode {mode}
    timeout connect 20s
    timeout client 60s
    timeout server 60s
frontend in
    bind {here}
    default_backend out
backend out
    server one {there}
"""


@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_haproxy_stands_before_nginx(server, client, family, made, port,
                                     mode):
    # nginx and curl are in one guest, haproxy in the other.
    names, want = make_tree(client)
    behind = client.run("unused_port(CLIENT)")
    nginx(client, family, behind)
    server.write("/tmp/haproxy.cfg", HAPROXY.format(
        mode=mode, here=f"{server.address(family)}:{port}",
        there=f"{client.address(family)}:{behind}"))
    serve(server, port, "haproxy", "-db", "-f", "/tmp/haproxy.cfg")
    _, got = fetch(client, url(server, family, port, "tree"), names)
    assert got == want
    made(client, 2)
    made(server, 1)


# -- relays

def test_socat_relays_what_nginx_gives(server, client, family, made, port):
    names, want = make_tree(server)
    nginx(server, family, port)
    relay = client.run("unused_port(CLIENT)")
    kind = "TCP6" if family == "inet6" else "TCP4"
    serve(client, relay, "socat", f"{kind}-LISTEN:{relay},reuseaddr,fork",
          f"{kind}:{host_part(server.address(family))}:{port}")
    _, got = fetch(server, url(client, family, relay, "tree"), names)
    assert got == want
    made(server, 2)
    made(client, 2)


def test_socat_turns_a_stream_around(server, client, family, made, port):
    # All that was sent comes back before its half is closed, and the end then.
    kind = "TCP6" if family == "inet6" else "TCP4"
    serve(server, port, "socat", f"{kind}-LISTEN:{port},reuseaddr",
          "EXEC:cat")
    want = client.run("make_tree('/tmp/www/tree', 1); "
                      "hashlib.sha256(pattern(20 << 20)).hexdigest(), "
                      "open('/tmp/out', 'wb').write(pattern(20 << 20))",
                      60)[0]
    out = shell(client, f"socat -t30 - {kind}:"
                f"{host_part(server.address(family))}:{port} "
                "</tmp/out | sha256sum", 120)
    assert out.split()[0] == want
    made(client, 1)


# -- openssh

def test_scp_copies_a_tree_there_and_back(server, client, family, made):
    names, want = make_tree(client)
    port = sshd(server, client)
    scp = f"scp -rq -P {port} {SSH_OPTIONS}"
    place = f"{host_part(server.address(family))}:/tmp/www/copy"
    shell(client, f"{scp} /tmp/www/tree {place}", 200)
    assert server.run("checksum('/tmp/www/copy')", 60) == want
    # Back by the old protocol, which is one stream.
    shell(client, f"{scp} -O {place} /tmp/got", 200)
    assert client.run("checksum('/tmp/got')", 60) == want
    made(client, 2)


def forward(server, client, family, *options):
    """ssh in the client, which does nothing but to forward ports."""
    port = sshd(server, client)
    client.run(f"""
forwarding = start("ssh", "-N", "-p", "{port}", "-o",
                   "ExitOnForwardFailure=yes", *{SSH_OPTIONS.split()},
                   *{options!r}, SERVER)
""", 40)


def await_port(end, port):
    end.run("eventually(lambda: program('ss', '-Hltn', 'sport', '=', "
            f"':{port}')[1].strip(), 30)", 40)


def test_ssh_forwards_a_local_port(server, client, family, made):
    # curl, ssh, sshd, nginx: each in another guest than the one before.
    names, want = make_tree(client)
    behind, port = client.run("[unused_port(CLIENT) for _ in range(2)]")
    nginx(client, family, behind)
    host = host_part(client.address(family))
    forward(server, client, family, "-L", f"{host}:{port}:{host}:{behind}")
    await_port(client, port)
    _, got = fetch(server, url(client, family, port, "tree"), names)
    assert got == want
    made(client, 1)     # ssh
    made(server, 4)     # curl and sshd, at least two each


def test_ssh_forwards_a_remote_port(server, client, family, made):
    names, want = make_tree(server)
    behind, port = server.run("[unused_port() for _ in range(2)]")
    nginx(server, family, behind)
    host = host_part(server.address(family))
    forward(server, client, family, "-R", f"{host}:{port}:{host}:{behind}")
    await_port(server, port)
    _, got = fetch(client, url(server, family, port, "tree"), names)
    assert got == want
    made(client, 5)     # ssh; curl and ssh again, at least two each


# -- rsync

RSYNCD = """
use chroot = no
uid = root
gid = root
[files]
path = /tmp/rsync
read only = no
"""


def test_rsync_keeps_a_tree_the_same(server, client, family, made, port):
    _, want = make_tree(client)
    server.run("os.makedirs('/tmp/rsync', exist_ok=True)")
    server.write("/tmp/rsyncd.conf", RSYNCD)
    serve(server, port, "rsync", "--daemon", "--no-detach", f"--port={port}",
          f"--address={server.address(family)}",
          "--config=/tmp/rsyncd.conf")
    place = f"rsync://{host_part(server.address(family))}:{port}/files"
    shell(client, f"rsync -a /tmp/www/tree/ {place}/", 200)
    assert server.run("checksum('/tmp/rsync')", 60) == want
    # Only what is new of a file goes, and what is gone goes away.
    want = client.run("""
place = "/tmp/www/tree/"
large = max(files_of(place), key=lambda name: os.path.getsize(place + name))
with open(place + large, "r+b") as file:
    file.seek(4 << 20)
    file.write(b"changed")
os.remove(place + "1/1")
checksum(place)
""")
    out = shell(client, "rsync -a --checksum --no-whole-file --delete "
                f"--stats /tmp/www/tree/ {place}/", 200)
    literal = next(line for line in out.splitlines()
                   if line.startswith("Literal data"))
    assert 0 < int(literal.split()[2].replace(",", "")) < 1 << 20, out
    assert server.run("checksum('/tmp/rsync')", 60) == want
    shell(client, f"rsync -az {place}/ /tmp/got/", 200)
    assert client.run("checksum('/tmp/got')", 60) == want
    made(client, 3)


# -- redis

def cli(guest, host, port, words):
    return shell(guest, f"redis-cli -h {host} -p {port} {words}", 60).strip()


def test_redis_replicates_to_another_guest(server, client, family, made,
                                           port):
    redis(server, port, "--enable-debug-command", "yes")
    own = client.run("unused_port(CLIENT)")
    redis(client, own, "--enable-debug-command", "yes")
    here, there = server.address(family), client.address(family)
    client.run("""
with open("/tmp/commands", "w") as out:
    for number in range(3000):
        out.write(f"SET key:{number} {pattern(20 + number, number % 7).hex()}\\n")
        out.write(f"RPUSH list:{number % 50} {number}\\n")
        out.write(f"ZADD scores {number * 7 % 1000} member:{number}\\n")
""", 60)
    assert "errors: 0" in shell(
        client, f"redis-cli -h {here} -p {port} --pipe < /tmp/commands", 120)
    assert cli(client, here, port, "dbsize") == "3051"
    # All of it at once, then what changes.
    assert cli(server, there, own, f"replicaof {here} {port}") == "OK"

    def await_link():
        server.run(f"""
eventually(lambda: "master_link_status:up" in program(
    "redis-cli", "-h", {there!r}, "-p", "{own}", "info", "replication")[1],
    60)
""", 70)
    await_link()
    code, out, err = client.run(
        f"program('redis-benchmark', '-h', SERVER, '-p', '{port}', '-t', "
        "'set,incr,lpush,sadd,hset,mset', '-c', '20', '-n', '1000', '-r', "
        "'500', '-q', timeout=120)", 130)
    assert code == 0 and out.count("requests per second") == 6, err
    assert cli(client, here, port, "wait 1 30000") == "1"
    want = cli(client, here, port, "debug digest")
    assert len(want) == 40 and set(want) != {"0"}
    assert cli(server, there, own, "debug digest") == want
    made(client, 100)
    made(server, 2)


@pytest.mark.one_family
@pytest.mark.fallback
def test_redis_passes_its_own_tests(world, server, client, made, port):
    # The tests' own processes talk to each other over lo, so there are
    # fallbacks; those that talk to the server are counted.
    redis_suite.bring(client)
    redis(server, port, "--enable-debug-command", "yes",
          "--enable-protected-configs", "yes", "--enable-module-command",
          "yes")
    passed, bad, out = redis_suite.play(client, server.v4, port)
    assert not bad, out
    assert passed > 100, out
    made(client, 100)
