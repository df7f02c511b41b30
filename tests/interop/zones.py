"""Random small zones, full of what servers get wrong, and queries for them.

Left out are data below a DNAME (Knot refuses the zone) and CNAME beside other
data (everyone does). NS and DNAME at a wildcard, which RFC 4592 4.2 and 4.4 leave
undefined, come in a small share of the zones.
"""

# Zones that may have NS or DNAME at a wildcard.
ODD_SHARE = 0.15

LABELS = ["a", "b", "c", "d", "e", "*"]
TYPES_PLAIN = ["A", "AAAA", "MX", "TXT", "SRV", "TYPE65280", "HTTPS", "PTR"]
TYPES_ASKED = ["A", "AAAA", "NS", "MX", "TXT", "CNAME", "DNAME", "SOA", "DS", "ANY", "SRV",
               "TYPE65280", "HTTPS", "PTR"]
OUTSIDE = ["host.elsewhere.example.", "elsewhere.example."]


class Zone:
    """Records by owner; owners are absolute with a final dot."""

    def __init__(self, origin):
        self.origin = origin
        self.names = {}
        self.cuts = set()
        self.dnames = set()

    def add(self, owner, rtype, *rdatas, ttl=None):
        ttl = 300 if ttl is None else ttl
        entry = self.names.setdefault(owner, {}).setdefault(rtype, (ttl, []))
        entry[1].extend(rdata for rdata in rdatas if rdata not in entry[1])

    def text(self):
        lines = [f"$ORIGIN {self.origin}"]
        for owner, rrsets in self.names.items():
            for rtype, (ttl, rdatas) in rrsets.items():
                lines += [f"{owner} {ttl} IN {rtype} {rdata}" for rdata in rdatas]
        return "\n".join(lines) + "\n"


def smallest(origin):
    """The text of a zone that has only what it must."""
    return f"$ORIGIN {origin}\n@ 60 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n"


def parent(name):
    return name.split(".", 1)[1] if name != "." else None


def is_below(name, ancestor):
    return name != ancestor and name.endswith("." + ancestor)


def covered(name, tops):
    return any(is_below(name, top) for top in tops)


def generate(random, index):
    """The zones of one case, the parent first, and the queries for them."""
    origin = f"z{index}.test."
    zone = Zone(origin)
    minimum = random.choice([60, 300, 7200])
    soa_ttl = random.choice([60, 3600])
    zone.add(origin, "SOA", f"ns.{origin} hostmaster.{origin} 7 3600 600 86400 {minimum}",
             ttl=soa_ttl)
    zone.add(origin, "NS", f"ns.{origin}", *random.sample(OUTSIDE, random.randint(0, 1)))
    kind = random.random()
    if kind < 0.05:
        # A DNAME at the apex leaves nothing below it.
        zone.add(origin, "DNAME", random.choice([f"z{index + 1}.test.", "elsewhere.example."]))
        zone.names[origin]["NS"] = (300, ["ns.elsewhere.example."])
        if random.random() < 0.5:
            zone.add(origin, "TXT", '"apex"')
        return [zone], queries(random, [zone])
    zone.add(f"ns.{origin}", "A", "192.0.2.1")
    owners = plan_owners(random, origin)
    zones = [zone]
    kinds = choose_kinds(random, owners)
    for owner, what in kinds.items():
        if what == "cut":
            zone.cuts.add(owner)
        elif what == "dname":
            zone.dnames.add(owner)
    everything = [origin, f"ns.{origin}", *owners]
    for owner, what in kinds.items():
        if covered(owner, zone.dnames):
            continue
        fill(random, zone, owner, what, everything)
    if random.random() < 0.5:
        plain(random, zone, origin, everything)
    for cut in sorted(zone.cuts):
        below(random, zone, cut)
        if "*" not in cut and not covered(cut, zone.cuts) and random.random() < 0.3:
            zones.append(child_zone(random, cut, everything))
    return zones, queries(random, zones)


def plan_owners(random, origin):
    owners = []
    for _ in range(random.randint(4, 14)):
        base = random.choice([origin, origin, *owners]) if owners else origin
        depth = random.choice([1, 1, 1, 2, 3])
        for _ in range(depth):
            label = random.choice(LABELS)
            if random.random() < 0.1:
                label = label.upper()
            base = f"{label}.{base}"
        if len(base.split(".")) < 9 and base.lower() not in [owner.lower() for owner in owners]:
            owners.append(base)
    return [owner.lower() for owner in owners]


def choose_kinds(random, owners):
    kinds = {}
    odd = 8 if random.random() < ODD_SHARE else 0
    for owner in owners:
        if owner.startswith("*."):
            kinds[owner] = random.choices(
                ["plain", "cname", "large", "cut", "dname"], [50, 25, 10, odd, odd])[0]
        else:
            kinds[owner] = random.choices(
                ["plain", "cname", "cut", "dname", "large"], [40, 25, 20, 12, 3])[0]
    # No name under a DNAME: it moves down one label.
    dnames = {owner for owner, what in kinds.items() if what == "dname"}
    for owner in owners:
        if owner in dnames and any(is_below(other, owner) for other in owners):
            kinds[owner] = "plain"
    return kinds


def target(random, names):
    """A name to point at: often one that exists, or near one."""
    name = random.choice(names)
    roll = random.random()
    if roll < 0.5:
        return name
    if roll < 0.8:
        return f"{random.choice(['a', 'b', 'x', 'y.x', '*'])}.{name}"
    if roll < 0.9:
        return random.choice(OUTSIDE)
    return parent(name)


def fill(random, zone, owner, what, names):
    if what == "plain":
        plain(random, zone, owner, names)
    elif what == "large":
        zone.add(owner, "TXT", *(f'"{owner} {number} {"x" * 60}"' for number in range(random.randint(3, 30))))
        zone.add(owner, "A", *(f"198.51.100.{number}" for number in range(random.randint(20, 90))))
    elif what == "cname":
        zone.add(owner, "CNAME", target(random, names))
    elif what == "dname":
        zone.add(owner, "DNAME", target(random, names))
        if random.random() < 0.3:
            zone.add(owner, "TXT", '"beside a DNAME"')
    elif what == "cut":
        hosts = [f"ns1.{owner}", f"ns.b.{owner}", f"ns.{zone.origin}", owner, *OUTSIDE]
        hosts += [f"ns1.{cut}" for cut in sorted(zone.cuts)]
        zone.add(owner, "NS", *random.sample(hosts, random.randint(1, 3)))
        if random.random() < 0.3:
            zone.add(owner, "DS", "12345 13 2 " + "ab" * 32)


def plain(random, zone, owner, names):
    for rtype in random.sample(TYPES_PLAIN, random.choice([1, 1, 2, 3])):
        for _ in range(random.choice([1, 1, 2])):
            zone.add(owner, rtype, rdata(random, rtype, names))


def rdata(random, rtype, names):
    number = random.randint(1, 254)
    return {
        "A": lambda: f"192.0.2.{number}",
        "AAAA": lambda: f"2001:db8::{number:x}",
        "MX": lambda: f"{number} {target(random, names)}",
        "TXT": lambda: f'"text {number}"',
        "SRV": lambda: f"1 {number} 443 {target(random, names)}",
        "TYPE65280": lambda: f"\\# 3 0102{number:02x}",
        "HTTPS": lambda: f"1 {target(random, names)} alpn=h2",
        "PTR": lambda: target(random, names),
    }[rtype]()


def below(random, zone, cut):
    """Glue, and data that the cut hides."""
    for host in zone.names.get(cut, {}).get("NS", (0, []))[1]:
        if covered(host, zone.dnames):
            continue
        if (host == cut or is_below(host, cut)) and random.random() < 0.85:
            if "CNAME" not in zone.names.get(host, {}):
                zone.add(host, "A", f"203.0.113.{random.randint(1, 254)}")
                if random.random() < 0.5:
                    zone.add(host, "AAAA", f"2001:db8:1::{random.randint(1, 254):x}")
    hidden = f"hidden.{cut}"
    if random.random() < 0.3 and hidden not in zone.names:
        zone.add(hidden, random.choice(["A", "TXT"]), "192.0.2.66")


def child_zone(random, origin, names):
    zone = Zone(origin)
    zone.add(origin, "SOA", f"ns1.{origin} hostmaster.{origin} 8 3600 600 86400 120", ttl=900)
    zone.add(origin, "NS", f"ns1.{origin}")
    zone.add(f"ns1.{origin}", "A", "192.0.2.3")
    for label in random.sample(["a", "b", "*", "c.d"], random.randint(1, 3)):
        owner = f"{label}.{origin}"
        if random.random() < 0.3:
            zone.add(owner, "CNAME", target(random, names))
        else:
            plain(random, zone, owner, names)
    return zone


def queries(random, zones):
    """(name, type, EDNS size or None, DO, over TCP) for every name and its neighbours."""
    names = set()
    for zone in zones:
        for owner in zone.names:
            names |= {owner, parent(owner), f"zz.{owner}", f"*.{owner}", f"a.{owner}",
                      f"zz.a.{owner}", f"b.a.{owner}"}
    names = sorted(name for name in names if len(name) < 200 and name.endswith(".test."))
    out = []
    for name in names:
        if name == "test.":
            continue
        for rtype in random.sample(TYPES_ASKED, 4) + ["A"]:
            asked = "".join(random.choice([char, char.upper()]) for char in name)
            edns = random.choice([None, 1232, 4096, 512, 100])
            dnssec_ok = edns is not None and random.random() < 0.2
            out.append((asked, rtype, edns, dnssec_ok, random.random() < 0.02))
    random.shuffle(out)
    return out
