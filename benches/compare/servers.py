"""The servers compared: package, config, command, and what each can do.

Every one has one thread for queries, and keeps to the defaults that its makers ship but
for what would make the work unequal: rate limits, and records that nobody asked for.
"""

import os
import shutil
import subprocess

from world import FIRST, FILES, NAMES_PER_FILE, SITES, TTL_S, V4, V6, WEIGHT, CONTINENTS, ZONE

PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"

STATIC = {"static", "fixed", "nxdomain", "blend"}


class Server:
    """`can` are kinds of mixes by their first word (mixes.py); the rest is in `cannot`,
    with reasons for docs."""

    name = program = ""
    packages = ()
    can = STATIC
    # Whether client subnets are echoed.
    subnets = True
    # Whether geo names are decided.
    decides = False
    # Whether it probes, and so can find all members down.
    probes = False

    def __init__(self, world, port):
        self.world, self.port = world, port
        self.address = f"127.0.0.1:{port}"
        self.folder = world.path(self.name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, parts):
        return self.world.write(f"{self.name}/{name}", parts)

    def configure(self):
        """Writes the config; `command` then starts it in the foreground."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def version(self):
        """What the program says of itself, in a line."""
        return self.said("-V")

    def said(self, *arguments):
        done = subprocess.run([find(self.program), *arguments], capture_output=True, text=True)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return lines[0].strip() if lines else "?"


def find(program):
    return shutil.which(program, path=PATH)


#------------ Floor -----------------------------------------------------------

class Floor(Server):
    """Started anew for each mix: its answer is as long as the right one."""

    name = "floor"
    decides = True

    def __init__(self, world, port, program):
        super().__init__(world, port)
        self.program, self.arguments = program, []

    def configure(self):
        os.makedirs(self.folder, exist_ok=True)

    def command(self):
        return [self.program, "--listen", self.address, *self.arguments]


#------------ Windrose --------------------------------------------------------

class Windrose(Server):
    name = "windrose"
    can = STATIC - {"fixed"} | {"geo", "even", "weighted", "failover", "hash", "aaaa"}
    decides = probes = True

    def __init__(self, world, port, program):
        super().__init__(world, port)
        self.program = program

    def configure(self):
        head = f"""[server]
listen  = ["{self.address}"]
workers = 1

[admin]
listen = "off"

[zone."{ZONE}"]
file = "static.zone"

[health_check.shared]
type     = "tcp"
address  = "127.0.0.1"
port     = {self.world.health_port}
interval = "1s"
timeout  = "500ms"

[wip_defaults]
members      = [{", ".join(f'"{site}"' for site in SITES)}]
health_check = "shared"
ttl          = "{TTL_S}s"
"""
        for site, facts in SITES.items():
            serves = ", ".join(f'"continent:{code}"' for code in facts[CONTINENTS])
            head += f"""
[datacenter.{site}]
vip    = ["{facts[V4]}", "{facts[V6]}"]
weight = {facts[WEIGHT]}
serves = [{serves}]
"""
        if self.world.million:
            head = f'include = ["wips/*.toml"]\n\n{head}'
            for number in range(FILES):
                first = number * NAMES_PER_FILE
                labels = (f"geo{first + offset}" for offset in range(NAMES_PER_FILE))
                self.write(f"wips/{number:04}.toml", (self.wip(label, "geo") for label in labels))
        kinds = {kind: policy for kind, policy in self.world.policies.items()
                 if not (self.world.million and kind == "geo")}
        wips = (self.wip(label, policy) for kind, policy in kinds.items()
                for label in self.world.numbered(kind))
        self.write("windrose.toml", [head, *wips])
        self.world.zone_file(f"{self.name}/static.zone", lambda kind, label: "")

    @staticmethod
    def wip(label, policy):
        said = "" if policy == "geo" else f'policy = "{policy}"\n'
        return f'\n[wip."{label}.{ZONE}"]\n{said}'

    def command(self):
        return [self.program, "serve", "--config", self.path("windrose.toml")]

    def version(self):
        return self.said("--version")


#------------ gdnsd -----------------------------------------------------------

class Gdnsd(Server):
    """`even` is a weighted resource of equal weights, `failover` metafo. It puts addresses
    of the other family into each answer, so names have one family here. Its health comes
    from a file: its own probes would go to the members' addresses."""

    name, program = "gdnsd", "gdnsd"
    packages = ("gdnsd",)
    can = STATIC - {"fixed"} | {"geo", "even", "weighted", "failover", "aaaa"}
    decides = probes = True

    RESOURCES = {
        "geo": "geoip!v4", "aaaa": "geoip!v6", "failover": "metafo!first",
        "even": "weighted!even", "weighted": "weighted!weighted",
    }

    def configure(self):
        state = "DOWN" if self.world.all_down else "UP"
        addresses = [facts[family] for facts in SITES.values() for family in (V4, V6)]
        self.write("health", (f"{address} => {state}\n" for address in addresses))
        self.write("nets", (f"{network} => {self.order(site)}\n"
                            for network, site in self.world.networks()))

        def dcmap(family):
            return " ".join(f"{site} => {facts[family]}" for site, facts in SITES.items())

        def weights(weight):
            return " ".join(f"{site} => [{facts[V4]}, {weight(facts)}]"
                            for site, facts in SITES.items())

        sites = ", ".join(SITES)
        self.write("config", f"""options => {{
  listen => {{ {self.address} => {{ udp_threads => 1, tcp_threads => 1 }} }}
  run_dir => {self.path("run")}
  state_dir => {self.path("state")}
}}
service_types => {{
  file => {{
    plugin => extfile, file => {self.path("health")}, direct => true, interval => 10, timeout => 5
  }}
}}
plugins => {{
  extfile => {{}}
  geoip => {{
    service_types => file
    maps => {{ sites => {{ datacenters => [{sites}], nets => {self.path("nets")} }} }}
    resources => {{
      v4 => {{ map => sites, dcmap => {{ {dcmap(V4)} }} }}
      v6 => {{ map => sites, dcmap => {{ {dcmap(V6)} }} }}
    }}
  }}
  metafo => {{
    service_types => file
    resources => {{ first => {{ datacenters => [{sites}], dcmap => {{ {dcmap(V4)} }} }} }}
  }}
  weighted => {{
    service_types => file
    even => {{ {weights(lambda facts: 1)} }}
    weighted => {{ {weights(lambda facts: facts[WEIGHT])} }}
  }}
}}
""")
        self.world.zone_file(f"{self.name}/zones/{ZONE}", self.decided)
        for folder in ("run", "state"):
            os.makedirs(self.path(folder), exist_ok=True)

    @staticmethod
    def order(site):
        """A site first, the others in their order: as Windrose has it."""
        return "[" + ", ".join([site, *(other for other in SITES if other != site)]) + "]"

    def decided(self, kind, label):
        resource = self.RESOURCES.get(kind)
        return f"{label} DYNA {resource}\n" if resource else ""

    def command(self):
        return [find(self.program), "-c", self.folder, "start"]

    def version(self):
        return self.said("version")


#------------ Knot DNS --------------------------------------------------------

class Knot(Server):
    """mod-geoip has a list of answers for every name, so not for a million of them."""

    name, program = "knot", "knotd"
    packages = ("knot", "knot-module-geoip")

    def __init__(self, world, port):
        super().__init__(world, port)
        self.decides = not world.million
        if self.decides:
            self.can = STATIC - {"fixed"} | {"geo", "weighted", "aaaa"}

    def configure(self):
        modules = ""
        if self.decides:
            self.write("geo.conf", self.by_continent())
            self.write("weighted.conf", self.by_weight())
            modules = f"""mod-geoip:
  - id: geo
    config-file: {self.path("geo.conf")}
    ttl: {TTL_S}
    mode: geodb
    geodb-file: {self.world.database()}
    geodb-key: continent/code
  - id: weighted
    config-file: {self.path("weighted.conf")}
    ttl: {TTL_S}
    mode: weighted
"""
        self.write("knot.conf", f"""server:
  rundir: {self.folder}
  listen: 127.0.0.1@{self.port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
database:
  storage: {self.path("db")}
log:
  - target: stderr
    any: warning
{modules}zone:
  - domain: {ZONE}
    file: {self.world.zone_file(f"{self.name}/zone")}
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
    {"module: [mod-geoip/geo, mod-geoip/weighted]" if self.decides else ""}
""")

    def by_continent(self):
        for kind, family, record in (("geo", V4, "A"), ("aaaa", V6, "AAAA")):
            for label in self.world.numbered(kind):
                yield f"{label}.{ZONE}:\n"
                for facts in SITES.values():
                    for code in facts[CONTINENTS]:
                        yield f"  - geo: {code}\n    {record}: {facts[family]}\n"

    def by_weight(self):
        for label in self.world.numbered("weighted"):
            yield f"{label}.{ZONE}:\n"
            for facts in SITES.values():
                yield f"  - weight: {facts[WEIGHT]}\n    A: {facts[V4]}\n"

    def command(self):
        return [find(self.program), "-c", self.path("knot.conf")]


#------------ NSD -------------------------------------------------------------

class Nsd(Server):
    name, program = "nsd", "nsd"
    packages = ("nsd",)
    subnets = False

    def configure(self):
        self.write("nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.path("nsd.pid")}"
  xfrdfile: ""
  xfrdir: "{self.folder}"
  zonelistfile: "{self.path("zone.list")}"
  server-count: 1
  rrl-ratelimit: 0
  minimal-responses: yes
remote-control:
  control-enable: no
zone:
  name: "{ZONE}"
  zonefile: "{self.world.zone_file(f"{self.name}/zone")}"
""")

    def command(self):
        return [find(self.program), "-d", "-c", self.path("nsd.conf")]

    def version(self):
        return self.said("-v")


#------------ BIND ------------------------------------------------------------

class Bind(Server):
    name, program = "bind", "named"
    packages = ("bind9",)
    subnets = False

    def configure(self):
        self.write("named.conf", f"""options {{
  directory "{self.folder}";
  pid-file none;
  session-keyfile "{self.path("session.key")}";
  listen-on port {self.port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  notify no;
  minimal-responses yes;
  dnssec-validation no;
}};
controls {{ }};
zone "{ZONE}" {{ type primary; file "{self.world.zone_file(f"{self.name}/zone")}"; }};
""")

    def command(self):
        return [find(self.program), "-n", "1", "-f", "-c", self.path("named.conf")]

    def version(self):
        return self.said("-v")


#------------ PowerDNS --------------------------------------------------------

class PowerDns(Server):
    """Lua records without its own probes: those begin with the first query for a name, and
    would go to the members' addresses."""

    name, program = "powerdns", "pdns_server"
    packages = ("pdns-server", "pdns-backend-bind", "pdns-backend-geoip")

    def __init__(self, world, port):
        super().__init__(world, port)
        self.decides = not world.million
        if self.decides:
            self.can = STATIC - {"fixed"} | {"geo", "even", "weighted", "hash", "aaaa"}

    def configure(self):
        zone = self.world.zone_file(f"{self.name}/zone", self.decided if self.decides else None)
        self.write("named.conf", f'zone "{ZONE}" {{ type primary; file "{zone}"; }};\n')
        lua = ""
        if self.decides:
            self.write("geoip.yaml", "domains: []\n")
            lua = f"""enable-lua-records=yes
geoip-database-files={self.world.database()}
geoip-zones-file={self.path("geoip.yaml")}
"""
        self.write("pdns.conf", f"""launch=bind{",geoip" if lua else ""}
bind-config={self.path("named.conf")}
local-address=127.0.0.1
local-port={self.port}
socket-dir={self.folder}
receiver-threads=1
distributor-threads=1
edns-subnet-processing=yes
guardian=no
daemon=no
write-pid=no
security-poll-suffix=
{lua}""")

    def decided(self, kind, label):
        v4 = [facts[V4] for facts in SITES.values()]
        weights = ",".join("{%d,'%s'}" % (facts[WEIGHT], facts[V4]) for facts in SITES.values())
        together = ",".join(f"'{address}'" for address in v4)
        lua = {
            "geo": self.by_continent(V4),
            "aaaa": self.by_continent(V6),
            "even": "pickrandom({%s})" % together,
            "weighted": "pickwrandom({%s})" % weights,
            "hash": "pickwhashed({%s})" % weights,
        }.get(kind)
        record = "AAAA" if kind == "aaaa" else "A"
        return f'{label} IN LUA {record} "{lua}"\n' if lua else ""

    @staticmethod
    def by_continent(family):
        text = ";"
        for site, facts in SITES.items():
            if site != FIRST:
                codes = ",".join(f"'{code}'" for code in facts[CONTINENTS])
                text += "if continent({%s}) then return '%s' end " % (codes, facts[family])
        return text + f"return '{SITES[FIRST][family]}'"

    def command(self):
        return [find(self.program), f"--config-dir={self.folder}"]

    def version(self):
        return self.said("--version").partition("PowerDNS")[2].strip() or "?"


PEERS = {peer.name: peer for peer in (Gdnsd, Knot, Nsd, Bind, PowerDns)}
