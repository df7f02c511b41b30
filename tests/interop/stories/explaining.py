"""`explain` says what dig gets, from a running server and from its file alone."""

import json
import re
import urllib.parse

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
FRA, IAD, NRT, INSIDE = "127.0.13.1", "127.0.13.2", "127.0.13.3", "10.0.0.1"

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"
records = ["www IN CNAME shop", "note IN TXT \\"static\\"", "sub IN NS ns.elsewhere.net."]

[datacenter.fra]
vip = ["{FRA}", {{ address = "{INSIDE}", for = ["10.0.0.0/8"] }}]
location = {{ country = "DE" }}
wildcard = "apps.fra.{ZONE}"

[datacenter.iad]
vip = "{IAD}"
location = {{ country = "US" }}

[datacenter.nrt]
vip = "{NRT}"
location = {{ country = "JP" }}

[health_check.ready]
type = "http"
host = "app.example.com"
interval = "1s"
confirm_interval = "200ms"
timeout = "900ms"

[pool.west]
members = ["fra", "iad"]
policy = "geo"

[pool.east]
members = ["nrt"]

[wip_defaults]
members = ["fra", "iad", "nrt"]
health_check = "ready"
ttl = "20s"

[wip."shop.{ZONE}"]
aliases = ["alias.{ZONE}"]
[wip."ledger.{ZONE}"]
policy = "failover"
[wip."sticky.{ZONE}"]
policy = "hash"
[wip."tiers.{ZONE}"]
pools = ["west", "east"]
policy = "geo"
[wip."many.{ZONE}"]
max_answers = 3
"""

NAMES = ["shop", "alias", "ledger", "sticky", "tiers", "many", "www", "note", "nothing",
         "wiki.apps.fra", "apps.fra", "x.sub", "@"]
TYPES = ["A", "AAAA", "TXT", "SOA", "NS"]
CLIENTS = [None, "91.0.0.0/24", "126.0.0.0/24", "10.1.0.0/16", "6.0.0.0/8", "2003::/32"]


class Explaining(Story):
    REQUIRES = ("dig",)

    def setUp(self):
        super().setUp()
        self.address(INSIDE)
        self.fra = [parts.BackEnd(self, FRA), parts.BackEnd(self, INSIDE)]
        for address in (IAD, NRT):
            parts.BackEnd(self, address)
        self.server = Windrose(self, CONFIG).start()

    def explain(self, name, rtype, ecs, *where):
        """The reply, by the command line."""
        subnet = ["--ecs", ecs] if ecs else []
        return json.loads(self.tool("windrose", "explain", name, "--type", rtype, "--json",
                                    *subnet, *where))["reply"]

    def explain_by_api(self, name, rtype, ecs):
        arguments = {"name": name, "type": rtype, **({"ecs": ecs} if ecs else {})}
        page = self.server.get(f"/api/v1/explain?{urllib.parse.urlencode(arguments)}")
        return json.loads(page)["reply"]

    def compare(self, explained, name, rtype, ecs):
        """Whether an explanation's reply is what is answered."""
        reply = self.server.ask(name, rtype, ecs=ecs, edns=True)
        self.assertEqual(explained["rcode"], reply.rcode)
        self.assertEqual(records(explained["answer"]), records(reply.answer))
        self.assertEqual(records(explained["authority"]), records(reply.authority))
        self.assertEqual(explained["ecs_scope"], reply.ecs_scope)

    def compare_all(self):
        """Compares for all names, types and clients; returns how many."""
        questions = [(ZONE if short == "@" else f"{short}.{ZONE}", rtype, ecs)
                     for short in NAMES for rtype in TYPES for ecs in CLIENTS]
        for name, rtype, ecs in questions:
            with self.subTest(f"{name} {rtype} {ecs}"):
                self.compare(self.explain_by_api(name, rtype, ecs), name, rtype, ecs)
        return len(questions)

    def test_a_running_server_explains_what_it_answers(self):
        compared = self.compare_all()
        for back_end in self.fra:
            back_end.stop()
        wait_until("fra is down", lambda: self.server.member_state(f"shop.{ZONE}", "fra") == 2, 5)
        compared += self.compare_all()
        report(f"{compared} explanations were what was answered")
        for name, ecs in ((f"shop.{ZONE}", "91.0.0.0/24"), (f"tiers.{ZONE}", None)):
            self.compare(self.explain(name, "A", ecs, "--server", self.server.url), name, "A", ecs)
        text = self.server.command("explain", f"shop.{ZONE}", "--ecs", "91.0.0.0/24")
        for word in ("country DE", "fra", "refused", "iad"):
            self.assertIn(word, text)
        # Thinking a site down changes the explanation, never the answers.
        text = self.server.command("explain", f"shop.{ZONE}", "--ecs", "126.0.0.0/24", "--down", "nrt")
        self.assertNotIn(f"A {NRT}", text)
        self.assertEqual(self.server.ask(f"shop.{ZONE}", ecs="126.0.0.0/24").addresses(), [NRT])

    def test_the_file_alone_explains_the_same_while_all_is_up(self):
        for short, rtype, ecs in (("shop", "A", None), ("shop", "A", "126.0.0.0/24"),
                                  ("shop", "A", "10.1.0.0/16"), ("shop", "AAAA", "2003::/32"),
                                  ("www", "A", None), ("nothing", "A", None),
                                  ("x.sub", "A", None), ("sticky", "A", "6.0.0.0/8")):
            name = f"{short}.{ZONE}"
            with self.subTest(f"{name} {rtype} {ecs}"):
                explained = self.explain(name, rtype, ecs, "--config", self.server.path)
                self.compare(explained, name, rtype, ecs)

    def test_dig_prints_the_same_lines(self):
        dig = self.tool("dig", "@127.0.0.1", f"shop.{ZONE}", "+subnet=91.0.0.0/24", "+noall", "+answer")
        explained = self.explain(f"shop.{ZONE}", "A", "91.0.0.0/24", "--server", self.server.url)
        self.assertEqual(records(dig.strip().splitlines()), records(explained["answer"]))

    def test_what_cannot_be_explained_is_said(self):
        for arguments in (["shop..example"], [f"shop.{ZONE}", "--type", "NONSENSE"],
                          [f"shop.{ZONE}", "--down", "atlantis"]):
            with self.assertRaises(AssertionError) as failed:
                self.server.command("explain", *arguments)
            self.assertIn("status 1", str(failed.exception))


def records(lines):
    """Records as (name, TTL, type, data), whoever printed them, sorted."""
    found = []
    for line in lines:
        if not isinstance(line, str):
            line = f"{line.name} {line.ttl} IN {line.type} {line.data}"
        name, ttl, _, rtype, data = re.split(r"\s+", line.strip(), maxsplit=4)
        words = [word.strip('"').rstrip(".").lower() for word in data.split()]
        if rtype == "SOA":
            words[2] = "serial"  # a file alone does not know the running serial
        found.append((name.rstrip(".").lower(), int(ttl), rtype, words))
    return sorted(found)
