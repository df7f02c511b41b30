"""NSD, Knot DNS, BIND and Windrose on loopback, each serving the same files."""

import os
import shutil
import signal
import socket
import subprocess
import time

import wire

START_TIMEOUT_S = 60


class Missing(Exception):
    """A server that is not installed."""


class Server:
    """One running server; `address` takes UDP and TCP."""

    def __init__(self, name, command, folder, port):
        self.name, self.address = name, ("127.0.0.1", port)
        self.log_path = os.path.join(folder, f"{name}.log")
        log = open(self.log_path, "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_for(self, origin):
        """Returns once the server answers for `origin`."""
        end = time.monotonic() + START_TIMEOUT_S
        message = wire.query(1, origin, "SOA")
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} stopped:\n{self.log()}")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.3)
                try:
                    sock.sendto(message, self.address)
                    if wire.Reply(sock.recv(4096)).rcode == "NOERROR":
                        return
                except (OSError, wire.Malformed):
                    pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer for {origin}:\n{self.log()[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def find(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def free_port():
    """A port free for UDP and TCP on loopback just now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def start_all(folder, origins, windrose):
    """All four, the one under test last. `origins` have files ORIGINzone in
    `folder`; the first tells when they are loaded."""
    programs = {name: find(name) for name in ("nsd", "knotd", "named")}
    if not os.path.exists(windrose):
        raise Missing(f"{windrose} is not built")
    started = []
    try:
        for start in (nsd, knot, bind):
            started.append(start(folder, origins, programs))
        started.append(under_test(folder, origins, windrose))
        for server in started:
            server.wait_for(origins[0])
    except BaseException:
        for server in started:
            server.stop()
        raise
    return started


def nsd(folder, origins, programs):
    port = free_port()
    zones = "".join(f'zone:\n  name: "{origin}"\n  zonefile: "{origin}zone"\n' for origin in origins)
    path = write(folder, "nsd.conf", f"""server:
  ip-address: 127.0.0.1@{port}
  zonesdir: "{folder}"
  username: ""
  chroot: ""
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: ""
  zonelistfile: "{folder}/nsd.list"
  xfrdir: "{folder}"
  server-count: 1
  rrl-ratelimit: 0
  minimal-responses: no
remote-control:
  control-enable: no
{zones}""")
    return Server("nsd", [programs["nsd"], "-d", "-c", path], folder, port)


def knot(folder, origins, programs):
    port = free_port()
    zones = "".join(f'  - domain: "{origin}"\n    file: "{folder}/{origin}zone"\n' for origin in origins)
    path = write(folder, "knot.conf", f"""server:
  rundir: "{folder}"
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{folder}/knot-db"
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: "{folder}"
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
zone:
{zones}""")
    return Server("knot", [programs["knotd"], "-c", path], folder, port)


def bind(folder, origins, programs):
    port = free_port()
    zones = "".join(
        f'zone "{origin}" {{ type primary; file "{folder}/{origin}zone"; }};\n' for origin in origins)
    path = write(folder, "named.conf", f"""options {{
  directory "{folder}";
  pid-file none;
  session-keyfile none;
  lock-file none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses no;
  empty-zones-enable no;
  dnssec-validation no;
  notify no;
  check-names primary ignore;
  check-integrity no;
  check-sibling no;
  check-mx ignore;
  check-mx-cname ignore;
  check-srv-cname ignore;
  check-wildcard no;
  rrset-order {{ order fixed; }};
  max-udp-size 1232;
  edns-udp-size 1232;
}};
controls {{ }};
{zones}""")
    return Server("named", [programs["named"], "-f", "-4", "-n", "1", "-c", path], folder, port)


def under_test(folder, origins, windrose):
    port = free_port()
    zones = "".join(f'[zone."{origin[:-1]}"]\nfile = "{origin}zone"\n' for origin in origins)
    path = write(folder, "windrose.toml", f"""[server]
listen = ["127.0.0.1:{port}"]
workers = 1
[admin]
listen = "off"
{zones}""")
    return Server("windrose", [windrose, "serve", "--config", path], folder, port)
