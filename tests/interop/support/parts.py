"""The programs of others as a site or a network runs them: parents, resolvers,
local load balancers. Each takes an address of its own and the usual port.
"""

import http.server
import shutil
import threading
from pathlib import Path

from . import programs, wire
from .world import wait_until

UP_WITHIN_S = 15


def unconfined(story, program):
    """A copy of a program, whose AppArmor profile goes by its path and would not
    let it read a story's directory."""
    copy = Path(story.directory) / "bin" / program
    copy.parent.mkdir(exist_ok=True)
    shutil.copy2(programs.find(program), copy)
    return copy


def answers(server, name, rtype="SOA"):
    """Whether a server answers at all."""
    return wire.ask(server, name, rtype, timeout_s=0.5).rcode in ("NOERROR", "NXDOMAIN")


def bind(story, address, zones, name="parent"):
    """BIND, authoritative: `zones` maps origins to master files' texts."""
    directory = story.directory / name
    stanzas = []
    for number, (origin, text) in enumerate(zones.items()):
        path = story.write(f"{name}/{number}.zone", text)
        stanzas.append(f'zone "{origin}" {{ type primary; file "{path}"; }};')
    config = story.write(f"{name}/named.conf", f"""
options {{
    directory "{directory}"; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ {address}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
{chr(10).join(stanzas)}
""")
    process = story.start(name, unconfined(story, "named"), "-g", "-n", "1", "-c", config)
    origin = list(zones)[-1]
    wait_until(f"BIND answers for {origin}", lambda: answers(address, origin), UP_WITHIN_S)
    return process


def bind_resolver(story, address, root, name="resolver"):
    """BIND as a resolver that knows one root server."""
    directory = story.directory / name
    hints = story.write(f"{name}/hints", f". 60 NS ns.root.\nns.root. 60 A {root}\n")
    config = story.write(f"{name}/named.conf", f"""
options {{
    directory "{directory}"; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; query-source address {address};
    recursion yes; allow-recursion {{ any; }}; dnssec-validation no; empty-zones-enable no;
}};
controls {{ }};
zone "." {{ type hint; file "{hints}"; }};
""")
    process = story.start(name, unconfined(story, "named"), "-4", "-g", "-n", "1", "-c", config)
    wait_until("BIND resolves", lambda: answers(address, "."), UP_WITHIN_S)
    return process


def nsd(story, address, zones, name="parent"):
    """NSD, authoritative: `zones` maps origins to master files' texts."""
    stanzas = []
    for number, (origin, text) in enumerate(zones.items()):
        path = story.write(f"{name}/{number}.zone", text)
        stanzas.append(f'zone:\n  name: "{origin}"\n  zonefile: "{path}"')
    directory = story.directory / name
    config = story.write(f"{name}/nsd.conf", f"""
server:
  ip-address: {address}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: ""
  xfrdfile: "{directory}/xfrd.state"
  zonelistfile: "{directory}/zone.list"
  xfrdir: "{directory}"
  server-count: 1
remote-control:
  control-enable: no
{chr(10).join(stanzas)}
""")
    process = story.start(name, unconfined(story, "nsd"), "-d", "-c", config)
    origin = list(zones)[-1]
    wait_until(f"NSD answers for {origin}", lambda: answers(address, origin), UP_WITHIN_S)
    return process


def unbound(story, address, root, extra="", name="resolver"):
    """Unbound as a resolver that knows one root server. It is strict where strict
    resolvers are: small queries first (RFC 9156), mixed case (0x20), no referral
    trusted beyond its zone."""
    hints = story.write(f"{name}/hints", f". 60 NS ns.root.\nns.root. 60 A {root}\n")
    config = story.write(f"{name}/unbound.conf", f"""
server:
  interface: {address}
  outgoing-interface: {address}
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "{story.directory / name}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  module-config: "iterator"
  root-hints: "{hints}"
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-referral-path: yes
  {extra}
remote-control:
  control-enable: no
""")
    process = story.start(name, unconfined(story, "unbound"), "-d", "-c", config)
    wait_until("Unbound resolves", lambda: answers(address, "."), UP_WITHIN_S)
    return process


class Nginx:
    """nginx as a site's load balancer; `servers` is the inside of its `http`."""

    def __init__(self, story, name, servers):
        self.story = story
        self.name = name
        self.directory = story.directory / name
        self.directory.mkdir(exist_ok=True)
        user = "user root;"  # its workers read the story's directory
        self.config = story.write(f"{name}/nginx.conf", f"""
{user}
daemon off;
worker_processes 1;
pid {self.directory}/pid;
error_log {self.directory}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format story '$server_addr $host $ssl_server_name $uri $status "$http_user_agent"';
    access_log {self.directory}/access.log story;
    client_body_temp_path {self.directory}/t1; proxy_temp_path {self.directory}/t2;
    fastcgi_temp_path {self.directory}/t3; uwsgi_temp_path {self.directory}/t4;
    scgi_temp_path {self.directory}/t5;
    default_type text/plain;
{servers}
}}
""")
        self.process = None

    def start(self):
        self.process = self.story.start(
            self.name, "nginx", "-p", self.directory, "-e", self.directory / "error.log",
            "-c", self.config,
        )
        return self

    def kill(self):
        self.process.kill()

    def access(self):
        """Requests so far: lists of address, host, server name, path, status."""
        path = self.directory / "access.log"
        return [line.split()[:5] for line in path.read_text().splitlines()]


class BackEnd:
    """A plain HTTP back end whose answer a story changes: a status, or stopped."""

    def __init__(self, story, address, port=80):
        self.place = (address, port)
        self.status = 200
        self.server = None
        self.start()
        story.addCleanup(self.stop)

    def start(self):
        """Listens; a back end that listens already goes on."""
        if self.server:
            return
        back_end = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"ready\n"
                self.send_response(back_end.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Probes come by the hundred."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                """A probe may close once it has seen enough."""

        self.server = Server(self.place, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Refuses connections from now on."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
