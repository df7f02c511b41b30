"""Clients in Germany, in Japan and unknown, by the built-in country table: who gets
which site, and what scope dig and kdig see.
"""

import ipaddress
import re

from support import wire
from support.server import Windrose
from support.world import Story, report

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
IAD, FRA, NRT, HQ = "198.51.100.10", "203.0.113.10", "192.0.2.10", "10.9.9.9"

# The order of the config is not that of any distance: it decides for clients
# whose place is unknown alone.
CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.iad]
vip = ["{IAD}", "2001:db8:1::10"]
location = {{ latitude = 38.94, longitude = -77.45 }}

[datacenter.fra]
vip = ["{FRA}", "2001:db8:2::10"]
location = {{ latitude = 50.11, longitude = 8.68 }}

[datacenter.nrt]
vip = ["{NRT}", "2001:db8:3::10"]
location = {{ country = "JP" }}

[datacenter.hq]
vip = "{HQ}"
serves = ["10.0.0.0/8"]

[wip_defaults]
members = ["iad", "fra", "nrt", "hq"]

[wip."shop.{ZONE}"]
[wip."plain.{ZONE}"]
policy = "failover"
[wip."blind.{ZONE}"]
ecs = false
[wip."hash.{ZONE}"]
policy = "hash"
"""

CLIENTS = {
    "91.0.0.0/24": FRA, "2003::/32": FRA,  # Germany
    "126.0.0.0/24": NRT, "2001:240::/32": NRT,  # Japan
    "6.0.0.0/24": IAD,  # the United States
    "192.88.99.0/24": IAD,  # nowhere: the first of the config
}


class Geo(Story):
    REQUIRES = ("dig", "kdig")

    def setUp(self):
        super().setUp()
        self.server = Windrose(self, CONFIG).start()

    def test_clients_by_their_subnets(self):
        for client, expected in CLIENTS.items():
            with self.subTest(client):
                reply = self.server.ask(NAME, ecs=client)
                self.assertEqual(reply.addresses(), [expected])
                dig = self.tool("dig", "@127.0.0.1", NAME, f"+subnet={client}")
                kdig = self.tool("kdig", "@127.0.0.1", NAME, f"+subnet={client}")
                for text in (dig, kdig):
                    self.assertRegex(text, rf"IN\s+A\s+{re.escape(expected)}\b")
                    address = client.split("/")[0].rstrip(":")
                    shown = rf"CLIENT-SUBNET: {re.escape(address)}\S*/{reply.ecs_scope}\b"
                    self.assertRegex(text, shown)
                report(f"{client} → {expected}, scope /{reply.ecs_scope}")
                self.assertGreater(reply.ecs_scope, 0)

    def test_a_scope_is_true_at_both_its_ends(self):
        for client in CLIENTS:
            reply = self.server.ask(NAME, ecs=client)
            address = ipaddress.ip_network(client).network_address
            inside = ipaddress.ip_network((address, reply.ecs_scope), strict=False)
            for end in (inside[0], inside[-1], inside[inside.num_addresses // 2]):
                there = self.server.ask(NAME, ecs=f"{end}/{end.max_prefixlen}")
                self.assertEqual((there.answer, there.ecs_scope), (reply.answer, reply.ecs_scope),
                                 f"{end} in {inside}")

    def test_who_does_not_steer(self):
        source = self.server.ask(NAME)
        self.assertEqual((source.addresses(), source.ecs_scope), ([IAD], None))
        # The client declines, nothing depends on it, the WIP does not look.
        self.assertEqual(self.server.ask(NAME, ecs="0.0.0.0/0").ecs_scope, 0)
        self.assertEqual(self.server.ask(f"plain.{ZONE}", ecs="91.0.0.0/24").ecs_scope, 0)
        blind = self.server.ask(f"blind.{ZONE}", ecs="91.0.0.0/24")
        self.assertEqual((blind.addresses(), blind.ecs_scope), ([IAD], 0))
        # Private clients are somebody's only where a rule says so.
        private = self.server.ask(NAME, ecs="10.1.2.0/24")
        self.assertEqual((private.addresses(), private.ecs_scope), ([HQ], 8))
        unserved = self.server.ask(NAME, ecs="192.168.1.0/24")
        self.assertEqual((unserved.addresses(), unserved.ecs_scope), ([IAD], 16))
        self.assertGreaterEqual(self.server.ask(f"hash.{ZONE}", ecs="91.0.0.0/20").ecs_scope, 24)

    def test_both_families_name_one_site(self):
        for client in CLIENTS:
            four = self.server.ask(NAME, "A", ecs=client).addresses()[0]
            six = self.server.ask(NAME, "AAAA", ecs=client).addresses()[0]
            sites = {IAD: "2001:db8:1::10", FRA: "2001:db8:2::10", NRT: "2001:db8:3::10"}
            self.assertEqual(sites[four], six)

    def test_bad_subnets_are_form_errors(self):
        good = wire.encode(NAME, ecs="91.0.0.0/24")
        at = good.rindex(bytes([91, 0, 0])) - 4  # family, lengths, address
        for what, change in {
            "an unknown family": (0, b"\x00\x09"), "longer than an address": (2, b"\x21"),
            "a scope in a query": (3, b"\x18"), "bits beyond the length": (2, b"\x07"),
        }.items():
            with self.subTest(what):
                offset, value = change
                bad = good[:at + offset] + value + good[at + offset + len(value):]
                reply = wire.exchange("127.0.0.1", bad)
                self.assertEqual(reply.rcode, "FORMERR")
