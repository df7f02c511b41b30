"""Zones between servers, signed: BIND and NSD are secondaries of Windrose, and Windrose is
one of BIND, by AXFR, IXFR and NOTIFY; a primary that is gone ends in SERVFAIL for its
zone alone.
"""

import signal

from support import wire
from support.server import Windrose
from support.world import Story, report, wait_until

OURS, BIND, NSD = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SECRET = "3sDh4GGJhlUNnV0tGKlgXDPjyDEqBrMRGDfsKYTn7yM="
ZONE, CORP = "gslb.example.com", "corp.example"
NAME = f"shop.{ZONE}"
# More than the SOA's expire, refresh and retry together.
WITHIN_S = 45

CONFIG = """
[server]
listen = "192.0.2.1:53"
state_dir = "state"

[tsig.transfer]
secret = "%s"

[zone."gslb.example.com"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
allow_transfer = "key:transfer"
notify = [{ address = "192.0.2.2", key = "transfer" }, "192.0.2.3"]

[zone."corp.example"]
primaries = { address = "192.0.2.2", key = "transfer" }

[datacenter.fra]
vip = "203.0.113.10"
wildcard = "fra.gslb.example.com"

[wip."shop.gslb.example.com"]
members = ["fra"]
ttl = "%ss"
"""

NAMED = """
key "transfer" { algorithm hmac-sha256; secret "%s"; };
options {
    directory "%s"; listen-on { 192.0.2.2; }; listen-on-v6 { none; }; recursion no;
    pid-file none; session-keyfile none; notify explicit;
    notify-source 192.0.2.2; transfer-source 192.0.2.2; ixfr-from-differences yes;
    max-ixfr-ratio unlimited; dnssec-validation no;
};
controls { };
zone "gslb.example.com" { type secondary; file "gslb"; primaries { 192.0.2.1 key transfer; }; };
zone "corp.example" {
    type primary; file "corp"; allow-transfer { key transfer; }; also-notify { 192.0.2.1; };
};
"""

NSD_CONF = """
server:
    ip-address: 192.0.2.3
    username: ""
    chroot: ""
    zonesdir: "{0}"
    pidfile: "{0}/nsd.pid"
    xfrdfile: "{0}/xfrd.state"
    zonelistfile: "{0}/zone.list"
    xfrdir: "{0}"
    server-count: 1
remote-control:
    control-enable: no
key:
    name: "transfer"
    algorithm: hmac-sha256
    secret: "{1}"
zone:
    name: "gslb.example.com"
    zonefile: "gslb"
    request-xfr: AXFR 192.0.2.1 transfer
    allow-notify: 192.0.2.1 NOKEY
"""


def corp(serial, address, more=""):
    return f"""$TTL 300
@ SOA ns1 hostmaster {serial} 5 5 15 30
@ NS ns1
ns1 A 192.0.2.2
www A {address}
{more}"""


class Transfers(Story):
    REQUIRES = ("named", "nsd", "dig", "kdig")

    def setUp(self):
        super().setUp()
        self.address(OURS, BIND, NSD)
        self.write("bind/corp", corp(1, "192.0.2.80"))
        self.conf = self.write("bind/named.conf", NAMED % (SECRET, self.directory / "bind"))
        # First: a BIND that found nobody looks again after a minute. It tells us of its zone.
        self.server = Windrose(self, CONFIG % (SECRET, 30)).start()
        self.named = self.start("named", "named", "-g", "-c", self.conf)
        wait_until("BIND answers", lambda: self.is_there(BIND), 20)
        conf = self.write("nsd/nsd.conf", NSD_CONF.format(self.directory / "nsd", SECRET))
        self.start("nsd", "nsd", "-d", "-c", conf)

    def is_there(self, server):
        return wire.ask(server, f"www.{CORP}").rcode == "NOERROR", "no answer yet"

    def serves(self, server, name, address, within_s=WITHIN_S):
        def look():
            said = wire.ask(server, name).addresses()
            return said == [address], said

        return wait_until(f"{server} answers {name} with {address}", look, within_s)

    def serial(self, server):
        return self.tool("dig", f"@{server}", ZONE, "SOA", "+short").split()[2:3]

    def test_secondaries_follow_a_change_of_the_config(self):
        for server in (BIND, NSD):
            self.serves(server, NAME, "203.0.113.10")
            self.serves(server, f"any.fra.{ZONE}", "203.0.113.10")
        before = self.serial(OURS)
        self.server.path.write_text(
            (CONFIG % (SECRET, 30)).replace("203.0.113.10", "203.0.113.20"))
        for server in (OURS, BIND, NSD):
            took_s = self.serves(server, NAME, "203.0.113.20", 20)
            report(f"{server} follows after {took_s:.2f} s")
            self.assertEqual(self.serial(server), self.serial(OURS))
        self.assertGreater(self.serial(OURS), before)
        # A config that is wrong changes nothing, there neither.
        now = self.serial(OURS)
        self.server.path.write_text("[zone\n")
        wait_until("the reload is refused", lambda: self.server.metric(
            "windrose_config_reload_success") == 0, 10)
        self.assertEqual([self.serial(server) for server in (OURS, BIND, NSD)], [now] * 3)

    def test_a_zone_goes_to_nobody_else(self):
        for tool in ("dig", "kdig"):
            said = self.tool(tool, f"@{OURS}", ZONE, "AXFR", check=False)
            self.assertNotIn("203.0.113.10", said)
            signed = self.tool(tool, f"@{OURS}", "-y", f"hmac-sha256:transfer:{SECRET}",
                               ZONE, "AXFR")
            self.assertEqual(signed.count("SOA"), 2)
            self.assertIn("203.0.113.10", signed)
            wrong = self.tool(tool, f"@{OURS}", "-y", f"hmac-sha256:other:{SECRET}",
                              ZONE, "AXFR", check=False)
            self.assertNotIn("203.0.113.10", wrong)

    def test_a_secondary_follows_its_primary_and_expires_without_it(self):
        self.serves(OURS, f"www.{CORP}", "192.0.2.80")
        self.write("bind/corp", corp(2, "192.0.2.81", 'new TXT "x"\n'))
        self.named.signal(signal.SIGHUP)
        self.serves(OURS, f"www.{CORP}", "192.0.2.81", 15)
        self.assertEqual(self.tool("dig", f"@{OURS}", f"new.{CORP}", "TXT", "+short").strip(), '"x"')
        self.assertIn("IXFR started", self.named.output())
        self.named.kill()

        def expired():
            said = wire.ask(OURS, f"www.{CORP}").rcode
            return said == "SERVFAIL", said

        took_s = wait_until("the zone expires", expired, WITHIN_S)
        report(f"expired {took_s:.1f} s after its primary was gone (expire: 15 s)")
        self.assertEqual(wire.ask(OURS, NAME).addresses(), ["203.0.113.10"])
        self.assertEqual(self.server.metric("windrose_secondary_zones", state="expired"), 1)
        self.named = self.start("named-again", "named", "-g", "-c", self.conf)
        self.serves(OURS, f"www.{CORP}", "192.0.2.81")
