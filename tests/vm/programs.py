# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs as Debian ships them, as cases start them in guests and outside.

An end is a guest, or a peer outside; each has the helpers of puppet.py.
"""


def host_part(address):
    """An address as in a URL or an ss filter."""
    return f"[{address}]" if ":" in address else address


def url(server, family, port, path="file"):
    return f"http://{host_part(server.address(family))}:{port}/{path}"


def serve(end, port, *command, is_datagram=False):
    """Start a program at an end and wait until it has its port: on a busy
    machine an emulated guest needs half a minute to start a Python."""
    sockets = "-Hlun" if is_datagram else "-Hltn"
    end.run(f"process = start(*{command!r})", 40)
    end.run(f"""
def up():
    if process.poll() is not None:
        raise RuntimeError(output(process))
    return program("ss", "{sockets}", "sport", "=", ":{port}")[1].strip()
eventually(up, 60)
""", 70)


def shell(end, command, timeout=40):
    """Run a command line at an end, which must succeed; its stdout."""
    code, out, err = end.run(
        f"program('sh', '-c', {command!r}, timeout={timeout})", timeout + 10)
    assert code == 0, f"'{command}' gave {code}: {err or out}"
    return out


def make_file(server):
    """/tmp/www/file, of 3 MiB; its SHA-256."""
    return server.run("""
os.makedirs("/tmp/www", exist_ok=True)
data = pattern(3 << 20)
with open("/tmp/www/file", "wb") as out:
    out.write(data)
hashlib.sha256(data).hexdigest()
""")


NGINX = """
daemon off; pid /tmp/nginx.pid; error_log stderr; worker_processes 2;
user root;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
    fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server {{ listen {listen}; root /tmp/www; {more} }} }}
"""


def nginx(server, family, port, more=""):
    """nginx, which serves /tmp/www; more is for its server block."""
    listen = f"[::]:{port}" if family == "inet6" else str(port)
    server.write("/tmp/nginx.conf", NGINX.format(listen=listen, more=more))
    serve(server, port, "nginx", "-c", "/tmp/nginx.conf")


def redis(server, port, *more):
    serve(server, port, "redis-server", "--port", str(port), "--bind",
          "0.0.0.0", "::", "--protected-mode", "no", "--save", "", "--dir",
          "/tmp", *more)


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
GatewayPorts clientspecified
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
# What ssh and scp of the client need to be let in without a question.
SSH_OPTIONS = ("-i /tmp/ssh/key -o StrictHostKeyChecking=no "
               "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")


def sshd(server, client):
    """sshd, which lets the client in; its port."""
    port = server.run("unused_port()")
    key = client.run("""
os.makedirs("/tmp/ssh", exist_ok=True)
if not os.path.exists("/tmp/ssh/key"):
    program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
            "/tmp/ssh/key")
open("/tmp/ssh/key.pub").read()
""", 40)
    server.run(f"""
os.makedirs("/run/sshd", exist_ok=True)
os.makedirs("/tmp/ssh", exist_ok=True)
if not os.path.exists("/tmp/ssh/host"):
    program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
            "/tmp/ssh/host")
open("/tmp/ssh/authorized", "w").write({key!r})
""", 40)
    server.write("/tmp/ssh/config", SSHD.format(port=port))
    serve(server, port, "/usr/sbin/sshd", "-D", "-e", "-f",
          "/tmp/ssh/config")
    return port
