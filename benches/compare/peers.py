"""The servers that Windrose is compared with: package, config, command, and what each
can do.

Every one has one thread for queries, and keeps to the defaults that its makers ship but
for what would make the work unequal: rate limits, and records that nobody asked for.
"""

import json
import os
import subprocess

from servers import STATIC, Server, find
from world import CONTINENTS, FIRST, SITES, TTL_S, V4, V6, WEIGHT, ZONE


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

        def dcmap(family):
            return " ".join(f"{site} => {facts[family]}" for site, facts in SITES.items())

        def weights(weight):
            return " ".join(f"{site} => [{facts[V4]}, {weight(facts)}]"
                            for site, facts in SITES.items())

        sites = ", ".join(SITES)
        continents = " ".join(f"{code} => {self.order(site)}" for site, facts in SITES.items()
                              for code in facts[CONTINENTS])
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
    maps => {{ sites => {{
      datacenters => [{sites}], geoip2_db => {self.world.database()}, map => {{ {continents} }}
    }} }}
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

    def finds_all_down(self):
        done = subprocess.run([find("gdnsdctl"), "-c", self.folder, "states"],
                              capture_output=True, text=True)
        try:
            states = json.loads(done.stdout)
        except ValueError:
            return False
        probed = [said["state"] for name, said in states.items() if name.endswith("/file")]
        return bool(probed) and all(state.startswith("DOWN") for state in probed)

    def version(self):
        return self.said("version")


#------------ Knot DNS --------------------------------------------------------

class Knot(Server):
    """mod-geoip has a list of answers for every name, so not for a million of them."""

    name, program = "knot", "knotd"
    packages = ("knot", "knot-module-geoip")
    only_few = True

    def __init__(self, world, port):
        super().__init__(world, port)
        self.decides = not world.million
        if self.decides:
            self.can = STATIC - {"fixed"} | {"geo", "weighted", "aaaa"}

    def configure(self):
        modules = ""
        os.makedirs(self.path("db"), exist_ok=True)
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
    only_few = True

    def __init__(self, world, port):
        super().__init__(world, port)
        self.decides = not world.million
        if self.decides:
            self.can = STATIC - {"fixed"} | {"geo", "even", "weighted", "hash", "aaaa"}

    def configure(self):
        zone = self.world.zone_file(f"{self.name}/zone", self.decided if self.decides else None)
        self.write("named.conf", f'zone "{ZONE}" {{ type master; file "{zone}"; }};\n')
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
