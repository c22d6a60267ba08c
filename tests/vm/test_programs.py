# SPDX-License-Identifier: GPL-2.0-or-later
"""Real programs, as Debian ships them."""

import pytest

from programs import host_part, make_file, nginx, redis, serve, url

pytestmark = pytest.mark.remote


@pytest.fixture
def port(server):
    """A port that is free in the server."""
    return server.run("unused_port()")


@pytest.fixture
def file(server):
    return make_file(server)


def fetched(client, address):
    code, out, err = client.run(
        f"program('sh', '-c', \"curl -sgf '{address}' | sha256sum\")", 40)
    assert code == 0, err
    return out.split()[0]


def test_curl_fetches_a_file_from_nginx(server, client, family, port, file):
    nginx(server, family, port)
    assert fetched(client, url(server, family, port, "file")) == file


def test_curl_keeps_a_connection_to_nginx_alive(server, client, family, port,
                                                file):
    nginx(server, family, port)
    address = url(server, family, port, "file")
    code, out, err = client.run(
        f"program('curl', '-sgf', '-w', '%{{num_connects}}', "
        f"'-r', '0-9', '{address}', '{address}', '-o', '/dev/null', "
        f"'-o', '/dev/null')", 40)
    assert code == 0, err
    assert out == "10"


def test_wrk_loads_nginx_without_errors(server, client, family, port, file):
    nginx(server, family, port)
    server.run("open('/tmp/www/small', 'w').write('x' * 1000)")
    code, out, err = client.run(
        f"program('wrk', '-t1', '-c20', '-d2s', "
        f"'{url(server, family, port, 'small')}')", 40)
    assert code == 0, err
    assert "Requests/sec" in out
    assert "Socket errors" not in out and "Non-2xx" not in out


def test_python_serves_a_file(server, client, family, port, file):
    bind = "::" if family == "inet6" else "0.0.0.0"
    serve(server, port, "python3", "-m", "http.server", str(port), "--bind",
          bind, "--directory", "/tmp/www")
    assert fetched(client, url(server, family, port, "file")) == file


def test_static_binary_fetches_a_file(server, client, family, port, file):
    nginx(server, family, port)
    code, out, err = client.run(
        f"program('sh', '-c', \"busybox wget -q -O - "
        f"'{url(server, family, port, 'file')}' | sha256sum\")", 40)
    assert code == 0, err
    assert out.split()[0] == file


def test_redis_keeps_what_it_was_given(server, client, family, port):
    redis(server, port)
    cli = f"'redis-cli', '-h', SERVER, '-p', '{port}'"
    client.run("HOST = SERVER")
    assert client.run(f"program({cli}, 'set', 'key', 'value' * 1000)")[1] \
        .strip() == "OK"
    assert client.run(f"program({cli}, 'get', 'key')")[1].strip() == \
        "value" * 1000
    assert client.run(f"program({cli}, 'incr', 'n')")[1].strip() == "1"


def test_redis_benchmark_runs_to_its_end(server, client, family, port):
    redis(server, port)
    code, out, err = client.run(
        f"program('redis-benchmark', '-h', SERVER, '-p', '{port}', '-t', "
        "'set,get', '-c', '20', '-n', '2000', '-q')", 60)
    assert code == 0, err
    assert out.count("requests per second") == 2


@pytest.mark.parametrize("extra", [[], ["-R"], ["-P", "4"]],
                         ids=["send", "receive", "parallel"])
def test_iperf3_moves_bytes(server, client, family, port, extra):
    import json
    serve(server, port, "iperf3", "-s", "-1", "-p", str(port))
    flag = "-6" if family == "inet6" else "-4"
    code, out, err = client.run(
        f"program('iperf3', '{flag}', '-c', SERVER, '-p', '{port}', '-t', "
        f"'1', '-J', *{extra!r})", 40)
    assert code == 0, out[-500:] + err
    end = json.loads(out)["end"]
    assert end["sum_received"]["bytes"] > 1 << 20


def test_socat_relays_in_both_directions(server, client, family, port):
    kind = "TCP6" if family == "inet6" else "TCP4"
    serve(server, port, "socat", f"{kind}-LISTEN:{port},reuseaddr",
          "SYSTEM:tr a-z A-Z")
    host = host_part(server.address(family))
    code, out, err = client.run(
        f"program('sh', '-c', \"printf 'hello there' | "
        f"socat -t5 - '{kind}:{host}:{port}'\")")
    assert (code, out) == (0, "HELLO THERE"), err


def test_netcat_sends_a_file(server, client, family, port):
    flag = "-6" if family == "inet6" else "-4"
    serve(server, port, "sh", "-c", f"nc {flag} -l -p {port} | sha256sum")
    want = client.run(f"""
data = pattern(1 << 20)
with open("/tmp/out", "wb") as out: out.write(data)
code = program("sh", "-c", "nc {flag} -N " + SERVER + " {port} < /tmp/out")
hashlib.sha256(data).hexdigest()
""")
    assert server.run("process.wait(10); output(process).split()[0]") == want


def test_openssl_speaks_tls(server, client, family, port):
    code, _, err = server.run("""
program("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/tmp/key",
        "-out", "/tmp/cert", "-days", "2", "-subj", "/CN=vm")
""", 40)
    assert code == 0, err
    flag = "-6" if family == "inet6" else "-4"
    serve(server, port, "openssl", "s_server", flag, "-accept", str(port),
          "-key", "/tmp/key", "-cert", "/tmp/cert", "-www", "-quiet")
    host = host_part(server.address(family))
    code, out, err = client.run(
        f"program('sh', '-c', \"printf 'GET / HTTP/1.0\\\\r\\\\n\\\\r\\\\n' | "
        f"openssl s_client -quiet -connect '{host}:{port}'\")", 40)
    assert "s_server" in out, err


def test_netperf_round_trips(server, client, family, port):
    flag = "-6" if family == "inet6" else "-4"
    serve(server, port, "netserver", "-D", flag, "-p", str(port))
    code, out, err = client.run(
        f"program('netperf', '{flag}', '-H', SERVER, '-p', '{port}', '-t', "
        "'TCP_RR', '-l', '1', '-P', '0')", 40)
    assert code == 0, out + err
    assert float(out.split()[5]) > 10
