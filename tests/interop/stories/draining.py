"""One application is drained in one datacenter, while a local issue is mended there, and
nothing else notices: seen by dig, before, meanwhile and after.
"""

import json
import time

from support.server import Windrose, run_windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
FRA, IAD = "127.0.15.11", "127.0.15.12"
TTL_S = 3
NAMES = ["shop", "ledger", "search", "berlin"]

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]
state_dir = "STATE"

[admin]
listen = "127.0.0.1:8053"

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
ttl = "{TTL_S}s"
ttl_min = "1s"

[wip."shop.{ZONE}"]
aliases = ["store.{ZONE}"]

[wip."ledger.{ZONE}"]

[wip."search.{ZONE}"]
policy = "geo"

[wip."berlin.{ZONE}"]
members = ["fra"]
"""


class Draining(Story):
    def setUp(self):
        super().setUp()
        state = self.write("state/.keep", "").parent
        self.server = Windrose(self, CONFIG.replace("STATE", str(state))).start()

    def dig(self, name):
        """What dig prints of a name: its addresses, in order."""
        out = self.tool("dig", "+short", "@127.0.0.1", f"{name}.{ZONE}", "A")
        return out.split()

    def all_but_shop(self):
        return {name: self.dig(name) for name in NAMES if name != "shop"}

    def test_one_application_in_one_datacenter(self):
        before = self.all_but_shop()
        self.assertEqual(before["berlin"], [FRA])
        self.assertEqual((self.dig("shop"), self.dig("store")), ([FRA], [FRA]))

        began = time.monotonic()
        said = self.server.command(
            "drain", "--datacenter", "fra", "--wip", f"shop.{ZONE}",
            "--reason", "orders db is being repaired", "--wait")
        waited = time.monotonic() - began
        self.assertIn("drained: no answer that names them is still valid", said)
        self.assertGreaterEqual(waited, TTL_S, "the last answer lives for its whole TTL")
        report(f"drained in {waited:.1f} s, with a TTL of {TTL_S} s")
        self.assertEqual((self.dig("shop"), self.dig("store")), ([IAD], [IAD]))
        self.assertEqual(self.all_but_shop(), before, "nothing else moved")

        status = self.server.command("status")
        self.assertIn("why: orders db is being repaired", status)

        # The whole site is somebody's only one, and is not taken.
        status, _, refused = run_windrose("drain", "--datacenter", "fra", "--reason", "all of it",
                                          "--server", self.server.url)
        self.assertEqual(status, 1)
        self.assertIn(f"min_members: 1 WIP would have fewer than 1 available member: "
                      f"berlin.{ZONE}", refused)
        self.assertEqual(self.all_but_shop(), before)

        self.server.command("clear", "--datacenter", "fra", "--wip", f"shop.{ZONE}")
        self.assertEqual(self.dig("shop"), [FRA])
        self.assertEqual(self.all_but_shop(), before)
        page = json.loads(self.server.get("/api/v1/overrides"))
        self.assertEqual((page["revision"], page["overrides"]), (2, []))

    def test_a_plan(self):
        self.server.command("drain", "--datacenter", "fra", "--wip", f"ledger.{ZONE}",
                            "--reason", "kernel update", "--at", "2s", "--until", "4s")
        self.assertEqual(self.dig("ledger"), [FRA])
        self.assertEqual(self.server.ask(f"ledger.{ZONE}").ttl, 1, "announced: the least TTL")
        wait_until("it begins", lambda: self.dig("ledger") == [IAD], 10)
        wait_until("it ends", lambda: self.dig("ledger") == [FRA], 10)
        self.assertEqual(self.dig("shop"), [FRA])
