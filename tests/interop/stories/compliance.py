"""Tools that others wrote to judge name servers: Zonemaster and DNSViz walk the
delegation and look for faults, drill, kdig and dnspython read what is answered, and
dig asks the queries of RFC 8906 section 8.

Whatever a tool finds fails the story, unless it stands in `EXPLAINED` with its reason.
"""

import json
import re

from support import parts
from support.server import Windrose
from support.world import Story, report

# Addresses as of the internet, on this namespace's loopback: judges look at them.
ROOT, NS1, NS2 = "45.10.0.53", "45.10.1.1", "45.20.2.1"
# A secondary's, to which the zone is granted.
SECONDARY = "45.30.3.1"
NS1_V6, NS2_V6 = "2a0e:fd45:1::1", "2a0e:fd46:2::1"
ZONE = "gslb.example.com"
PYTHON = "/usr/bin/python3"

PARENTS = {
    ".": f"""
@ 3600 IN SOA ns.root. hostmaster.root. 1 14400 3600 1209600 3600
@ 3600 IN NS ns.root.
ns.root. 3600 IN A {ROOT}
root. 3600 IN NS ns.root.
com. 3600 IN NS ns.root.
""",
    "root": f"""
@ 3600 IN SOA ns hostmaster 1 14400 3600 1209600 3600
@ 3600 IN NS ns
ns 3600 IN A {ROOT}
""",
    "com": """
@ 3600 IN SOA ns.root. hostmaster.root. 1 14400 3600 1209600 3600
@ 3600 IN NS ns.root.
example 3600 IN NS ns.root.
""",
    "example.com": f"""
@ 3600 IN SOA ns.root. hostmaster 1 14400 3600 1209600 3600
@ 3600 IN NS ns.root.
@ 3600 IN MX 10 mail
mail 3600 IN A {ROOT}
gslb 3600 IN NS ns1.gslb
gslb 3600 IN NS ns2.gslb
ns1.gslb 3600 IN A {NS1}
ns1.gslb 3600 IN AAAA {NS1_V6}
ns2.gslb 3600 IN A {NS2}
ns2.gslb 3600 IN AAAA {NS2_V6}
""",
}

CONFIG = f"""
[server]
listen = ["{NS1}:53", "{NS2}:53", "[{NS1_V6}]:53", "[{NS2_V6}]:53"]
identity = "gtm1"

[zone."{ZONE}"]
file = "zone"
allow_transfer = ["{SECONDARY}"]

[datacenter.fra]
vip = ["203.0.113.10", "2001:db8:f::10"]

[datacenter.iad]
vip = ["198.51.100.10", "2001:db8:1::10"]

[wip."shop.{ZONE}"]
members = ["fra", "iad"]
policy = "failover"
"""

ZONE_FILE = f"""
$TTL 3600
@ SOA ns1 hostmaster.example.com. 2026010101 14400 3600 1209600 3600
@ NS ns1
@ NS ns2
ns1 A {NS1}
ns1 AAAA {NS1_V6}
ns2 A {NS2}
ns2 AAAA {NS2_V6}
@ MX 10 mail
mail A 203.0.113.25
www CNAME mail
*.wild TXT "made"
d DNAME mail
sub NS ns.sub
ns.sub A 203.0.113.53
svc HTTPS 1 . alpn=h2
svc A 203.0.113.80
odd TYPE65280 \\# 4 01020304
$GENERATE 1-200 big A 198.18.0.$
"""

# What the judges find and why it is no fault: (tool, tag) and the reason.
EXPLAINED = {
    ("zonemaster", "NAMESERVER_IP_WITHOUT_REVERSE"):
        "in-addr.arpa and ip6.arpa are not part of this world",
    ("zonemaster", "NEITHER_DNSKEY_NOR_DS"): "the zone is not signed",
    ("zonemaster", "NOT_SIGNED"): "the zone is not signed",
}

NAMES = ["", "shop", "x.wild", "big"]

SOA_AND_AA = ("NOERROR", "aa", 1)
# The queries of RFC 8906 section 8 and some beside: dig's arguments; rcode, flags
# beside qr, number of answers; whether OPT comes, with its flags.
BATTERY = [
    ("+noedns +noad +norec {zone} SOA", *SOA_AND_AA, None),
    ("+noedns +noad +norec {zone} TYPE1000", "NOERROR", "aa", 0, None),
    ("+noedns +noad +norec +cd {zone} SOA", *SOA_AND_AA, None),
    ("+noedns +ad +norec {zone} SOA", *SOA_AND_AA, None),
    ("+noedns +noad +norec +zflag {zone} SOA", *SOA_AND_AA, None),
    ("+noedns +noad +rec {zone} SOA", "NOERROR", "aa rd", 1, None),
    ("+noedns +noad +norec +opcode=15 +header-only", "NOTIMP", "", 0, None),
    ("+noedns +noad +norec +opcode=15 {zone} SOA", "NOTIMP", "", 0, None),
    ("+noedns +noad +norec +tcp {zone} SOA", *SOA_AND_AA, None),
    ("+edns=0 +nocookie +noad +norec {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +nocookie +noad +norec {zone} TYPE1000", "NOERROR", "aa", 0, ""),
    ("+edns=1 +noednsneg +nocookie +noad +norec {zone} SOA", "BADVERS", "", 0, ""),
    ("+edns=0 +noad +norec +nocookie +ednsopt=100 {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +noad +norec +nocookie +ednsopt=100:0102 {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +noad +norec +nocookie +ednsflags=0x80 {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +noad +norec +nocookie +dnssec {zone} SOA", *SOA_AND_AA, "do"),
    ("+edns=1 +noednsneg +noad +norec +nocookie +dnssec {zone} SOA", "BADVERS", "", 0, "do"),
    ("+edns=1 +noednsneg +noad +norec +nocookie +ednsopt=100 {zone} SOA", "BADVERS", "", 0, ""),
    ("+edns=1 +noednsneg +noad +norec +nocookie +ednsflags=0x80 {zone} SOA", "BADVERS", "", 0, ""),
    ("+edns=0 +noad +norec +nocookie +bufsize=512 +ignore +dnssec big.{zone} A",
     "NOERROR", "aa tc", 0, "do"),
    ("+edns=0 +noad +norec +nocookie +tcp big.{zone} A", "NOERROR", "aa", 200, ""),
    ("+edns=0 +noad +norec +nocookie +bufsize=4096 +ignore big.{zone} A",
     "NOERROR", "aa tc", 0, ""),
    ("+edns=0 +noad +norec +nocookie +nsid +subnet=203.0.113.0/24 {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +noad +norec +cookie +expire +padding=128 +keepalive {zone} SOA", *SOA_AND_AA, ""),
    ("+edns=0 +noad +norec +cookie=00 {zone} SOA", None, None, None, ""),
    ("+noedns +noad +norec {zone} ANY", "NOERROR", "aa", None, None),
    ("+noedns +noad +norec +notcp no.{zone} ANY", "NXDOMAIN", "aa", 0, None),
    ("+noedns +noad +norec example.org A", "REFUSED", "", 0, None),
    ("+noedns +noad +norec . NS", "REFUSED", "", 0, None),
    ("+noedns +noad +norec version.bind TXT -c CH", "REFUSED", "", 0, None),
]

DNSPYTHON = """
import itertools, random, sys
import dns.edns, dns.flags, dns.message, dns.name, dns.query, dns.rcode, dns.rdatatype

server, zone = sys.argv[1:]
source = random.Random(1)
names = ["", "shop", "www", "x.wild", "no", "x.d", "svc", "odd", "big", "mail", "a.sub", "ns1"]
types = ["A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "DNAME", "HTTPS", "TYPE65280", "DS", "ANY"]
asked = 0
for name, rtype in itertools.product(names, types):
    qname = dns.name.from_text(f"{name}.{zone}" if name else zone)
    options = [dns.edns.GenericOption(3, b""), dns.edns.ECSOption("203.0.113.0", 24)]
    query = dns.message.make_query(
        qname, rtype, use_edns=source.choice([False, 0]), want_dnssec=False)
    if query.edns >= 0:
        query.use_edns(0, source.choice([0, dns.flags.DO]), source.choice([512, 1232, 4096]),
                       options=source.sample(options, source.randint(0, 2)))
    reply, over_tcp = dns.query.udp_with_fallback(query, server, 5)
    assert query.is_response(reply), (name, rtype)
    again = dns.message.from_wire(reply.to_wire(), one_rr_per_rrset=False)
    assert again == reply, (name, rtype)
    assert (reply.edns >= 0) == (query.edns >= 0), (name, rtype)
    stream = dns.query.tcp(query, server, 5)
    assert stream.rcode() == reply.rcode(), (name, rtype)
    assert sorted(map(str, stream.answer)) == sorted(map(str, reply.answer)), (name, rtype)
    asked += 1
print(asked)
"""


class Compliance(Story):
    REQUIRES = ("named", "dig", "kdig", "drill", "dnsviz", "zonemaster-cli", "dnspython",
                "named-checkzone", "ldns-read-zone")

    def setUp(self):
        super().setUp()
        self.address(ROOT, NS1, NS2, NS1_V6, NS2_V6, SECONDARY)
        self.write("windrose/zone", ZONE_FILE)
        self.server = Windrose(self, CONFIG, address=NS1).start()

    def explained(self, tool, findings):
        """Fails on what is not in the list; `findings` maps tags to what was said."""
        left = {tag: said for tag, said in findings.items() if (tool, tag) not in EXPLAINED}
        self.assertEqual(left, {}, f"{tool} found what nobody has explained")
        report(f"{tool}: {len(findings)} kinds of findings, all explained")

    def test_zonemaster_finds_no_fault(self):
        parts.bind(self, ROOT, PARENTS)
        hints = self.write("hints", f". 3600 NS ns.root.\nns.root. 3600 A {ROOT}\n")
        # What it says below the level, too: it must have looked.
        said = json.loads(self.tool("zonemaster-cli", "--hints", hints, "--json",
                                    "--level", "DEBUG", ZONE, check=False))
        tests = {entry["testcase"] for entry in said}
        self.assertGreater(len(tests), 30, tests)
        levels = ("NOTICE", "WARNING", "ERROR", "CRITICAL")
        self.explained("zonemaster", {entry["tag"]: entry for entry in said
                                      if entry["level"] in levels})

    def dnsviz(self, servers, *names):
        """The faults that DNSViz finds when it asks these servers: code and what was said."""
        probe = self.write("probe.json", "")
        listed = ",".join(f"{ns}.{ZONE}={address}" for ns, address in servers)
        self.tool("dnsviz", "probe", "-d", "0", "-A", "-E", "-n", "-t", "4",
                  "-R", "A,AAAA,TXT,MX,SOA",
                  "-x", f"{ZONE}+:{listed}", "-o", probe, *names)
        said = self.tool("dnsviz", "grok", "-l", "warning", "-r", probe, check=False)
        findings = {}
        for where, entry in faults(json.loads(said or "{}")):
            findings.setdefault(entry.get("code", "?"), f"{where}: {entry}")
        return findings

    def test_dnsviz_finds_no_fault(self):
        # It does find faults: of a server that is not there.
        self.assertIn("NETWORK_ERROR", self.dnsviz((("ns1", NS1), ("ns2", ROOT)), ZONE))
        servers = (("ns1", NS1), ("ns1", f"[{NS1_V6}]"), ("ns2", NS2), ("ns2", f"[{NS2_V6}]"))
        names = [f"{name}.{ZONE}".lstrip(".") for name in NAMES]
        self.explained("dnsviz", self.dnsviz(servers, *names))

    def test_the_battery_of_rfc_8906_is_answered_as_it_should_be(self):
        wrong = []
        for arguments, rcode, flags, answers, opt in BATTERY:
            for address in (NS1, NS2_V6):
                out = self.tool("dig", f"@{address}", "+tries=1", "+time=3", "+qr",
                                *arguments.format(zone=ZONE).split(), check=False)
                seen = of_dig(out)
                expected = (rcode, flags, answers, opt)
                if not seen or any(want is not None and want != got
                                   for want, got in zip(expected[:3], seen[:3])):
                    wrong.append((arguments, address, expected, seen, out))
                elif seen[3] != opt:
                    wrong.append((arguments, address, expected, seen, out))
        self.assertEqual(wrong, [])
        report(f"dig: {2 * len(BATTERY)} queries of RFC 8906 section 8 and beside")

    def test_drill_reads_what_is_answered(self):
        def drill(*arguments):
            return self.tool("drill", f"@{NS1}", *arguments)

        self.assertRegex(drill(f"shop.{ZONE}"), r"(?m)^shop\S+\s+\d+\s+IN\s+A\s+203.0.113.10$")
        self.assertIn("rcode: NXDOMAIN", drill(f"no.{ZONE}"))
        self.assertIn("rcode: REFUSED", drill("example.org"))
        for extra in (["-t"], ["-u"], ["-b", "512"], ["-D"], ["-6", f"@{NS1_V6}"], ["-a"]):
            self.assertIn("rcode: NOERROR", drill(*extra, f"{ZONE}", "SOA"))
        whole = drill(f"big.{ZONE}", "A", "-a")
        self.assertEqual(len(re.findall(r"(?m)^big\S+\s.*198\.18\.0\.", whole)), 200)
        self.assertIn("\\# 4 01020304", drill(f"odd.{ZONE}", "TYPE65280"))

    def test_kdig_reads_what_is_answered(self):
        def kdig(*arguments):
            return self.tool("kdig", f"@{NS1}", "+noidn", *arguments)

        for extra in (["+tcp"], ["+edns"], ["+dnssec"], ["+nsid"], ["+padding=128"], ["+cookie"],
                      ["+subnet=203.0.113.0/24"], ["+ednsopt=65001:00"], ["+zflag"], ["+cdflag"],
                      ["+adflag"], ["+bufsize=512"], ["+bufsize=65535"], ["+tcp", "+keepopen"]):
            out = kdig(*extra, f"shop.{ZONE}")
            self.assertIn("status: NOERROR", out, extra)
            self.assertIn("203.0.113.10", out, extra)
            self.assertNotIn("WARNING", out, extra)
        self.assertIn("gtm1", kdig("+nsid", ZONE, "SOA"))
        self.assertEqual(len(kdig("+short", f"big.{ZONE}").split()), 200)

    def test_what_axfr_gives_is_a_sound_zone(self):
        whole = self.tool("dig", f"@{NS1}", "-b", SECONDARY, ZONE, "AXFR", "+onesoa", "+nocookie")
        path = self.write("transferred", whole)
        said = self.tool("named-checkzone", "-i", "local", ZONE, path)
        self.assertIn("OK", said)
        faults = [line for line in said.splitlines() if line.startswith("zone ")
                  and "loaded serial" not in line]
        self.explained("named-checkzone", {fault.split(": ", 1)[-1]: fault for fault in faults})
        self.assertEqual(len(self.tool("ldns-read-zone", "-c", path).splitlines()),
                         whole.count(" IN ") + whole.count("\tIN\t"))

    def test_dnspython_reads_what_is_answered(self):
        out = self.tool(PYTHON, self.write("ask.py", DNSPYTHON), NS1, ZONE)
        self.assertGreaterEqual(int(out), 100)
        report(f"dnspython: {int(out)} queries over UDP and TCP")


def faults(node, path=""):
    """Warnings and errors anywhere in what DNSViz says: (where, entry)."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("warning", "error") and isinstance(value, list):
                for entry in value:
                    yield path, entry
            else:
                yield from faults(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from faults(value, path)


def of_dig(out):
    """Of the reply: rcode, flags beside qr, number of answers, OPT's flags or none."""
    reply = out.rpartition("Got answer:")[2]
    head = re.search(r"status: (\w+)", reply)
    flags = re.search(r"flags: ([a-z ]*);", reply)
    count = re.search(r"ANSWER: (\d+)", reply)
    if not head or not flags:
        return None
    opt = re.search(r"EDNS: version: (\d+), flags:([^;]*);(?: MBZ: (\S+),)? udp: (\d+)", reply)
    opt_flags = None
    if opt:
        opt_flags = opt[2].strip()
        if (opt[1], opt[4]) != ("0", "1232") or opt[3]:
            opt_flags += f" version {opt[1]}, size {opt[4]}, MBZ {opt[3]}"
    return (head[1], flags[1].replace("qr", "").strip(), int(count[1]) if count else 0, opt_flags)
