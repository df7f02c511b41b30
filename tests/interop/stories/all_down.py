"""Every member of every WIP is down: what each `on_all_down` answers, that clients
are told, and that it ends with the outage.
"""

import re
import time

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD, SPARE = "127.0.10.1", "127.0.10.2", "127.0.10.99"
ZONE = "gslb.example.com"
TTL_MIN_S, TTL_S, NEGATIVE_TTL_S = 2, 20, 30

ON_ALL_DOWN = {
    "all": '"all"', "first": '"first"', "lkg": '"last-known-good"', "nodata": '"nodata"',
    "servfail": '"servfail"', "refuse": '"refuse"', "spare": f'{{ addresses = ["{SPARE}"] }}',
}
CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
negative_ttl = "{NEGATIVE_TTL_S}s"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.ready]
type = "http"
host = "app.example.com"  # the same probe for every WIP: two targets in all
expect_body = "ready"
interval = "1s"
confirm_interval = "200ms"
timeout = "900ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
health_check = "ready"
ttl = "{TTL_S}s"
ttl_min = "{TTL_MIN_S}s"

[wip."spread.{ZONE}"]
policy = "round-robin"
max_answers = 2

""" + "\n".join(f'[wip."{name}.{ZONE}"]\non_all_down = {value}\n' for name, value in ON_ALL_DOWN.items())


class AllDown(Story):
    REQUIRES = ("dig", "kdig")

    def setUp(self):
        super().setUp()
        self.fra = parts.BackEnd(self, FRA)
        self.iad = parts.BackEnd(self, IAD)
        self.server = Windrose(self, CONFIG).start()

    def ask(self, name, rtype="A", edns=True):
        return self.server.ask(f"{name}.{ZONE}", rtype, edns=edns)

    def states(self, name="all"):
        return [self.server.member_state(f"{name}.{ZONE}", member) for member in ("fra", "iad")]

    def test_each_last_resort(self):
        calm = self.ask("all")
        self.assertEqual((calm.addresses(), calm.ttl, calm.error_code), ([FRA], TTL_S, None))
        self.assertEqual(self.server.status()["config"]["probes"], 2)
        # One after the other, so that the last known good one is not the first one.
        self.fra.status = 500
        wait_until("fra is down", lambda: self.states() == [2, 1], 5)
        after = self.ask("all")
        self.assertEqual((after.addresses(), after.ttl, after.error_code), ([IAD], TTL_S, None))
        # Who went down last is told by the second.
        time.sleep(1)
        self.iad.stop()
        seconds = wait_until("both are down", lambda: self.states() == [2, 2], 5)
        report(f"the second site's stop was seen after {seconds:.2f} s")

        for name, addresses in {"all": [FRA], "first": [FRA], "lkg": [IAD], "spare": [SPARE]}.items():
            with self.subTest(name):
                reply = self.ask(name)
                self.assertEqual((reply.rcode, reply.addresses()), ("NOERROR", addresses))
                self.assertEqual(reply.ttl, TTL_MIN_S)
                self.assertEqual(reply.error_code, 3 if name == "lkg" else 0)
                self.assertEqual(reply.error_text, "all members down")
                plain = self.ask(name, edns=False)
                self.assertEqual((plain.addresses(), plain.error_code, plain.additional),
                                 (addresses, None, []))
        nodata = self.ask("nodata")
        self.assertEqual((nodata.rcode, nodata.answer), ("NOERROR", []))
        (soa,) = nodata.authority
        self.assertEqual((soa.type, soa.ttl), ("SOA", TTL_MIN_S))
        self.assertEqual(self.ask("servfail").rcode, "SERVFAIL")
        self.assertEqual(self.ask("refuse").rcode, "REFUSED")
        self.assertEqual(sorted(self.ask("spread").addresses()), [FRA, IAD])
        # Never NXDOMAIN, and other types are as they were.
        for name in ON_ALL_DOWN:
            self.assertEqual(self.ask(name, "TXT").rcode, "NOERROR")
        # What other people's tools make of the extended error.
        dig = self.tool("dig", "@127.0.0.1", f"all.{ZONE}")
        self.assertRegex(dig, r"EDE: 0 \(Other\): \(all members down\)")
        kdig = self.tool("kdig", "@127.0.0.1", "+edns", f"lkg.{ZONE}")
        self.assertTrue(re.search(r"EDE: 3 \(Stale Answer\): 'all members down'", kdig), kdig)

        metric = "windrose_wip_fail_open_total"
        counted = self.server.metric(metric, wip=f"all.{ZONE}")
        for _ in range(5):
            self.ask("all")
        self.assertEqual(self.server.metric(metric, wip=f"all.{ZONE}"), counted + 5)
        explained = self.server.command("explain", f"all.{ZONE}")
        self.assertIn("refused", explained)
        self.assertIn("500", explained)

        self.iad.start()
        wait_until("iad is up", lambda: self.states() == [2, 1], 5)
        reply = self.ask("all")
        self.assertEqual((reply.addresses(), reply.error_code), ([IAD], None))
        self.assertEqual(self.ask("servfail").rcode, "NOERROR")
