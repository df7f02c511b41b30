"""The facts that every server's config and every check of an answer are made of.

Names are `KIND` and a number in one zone. Three sites; a client is sent by its
continent, as the table built into Windrose has it.
"""

import ipaddress
import os

import mmdb

ZONE = "gslb.example.com"
TTL_S = 30

# Site: IPv4, IPv6, weight, continents.
SITES = {
    "fra": ("192.0.2.1", "2001:db8::1", 3, ("EU", "AF")),
    "iad": ("192.0.2.2", "2001:db8::2", 2, ("NA", "SA")),
    "sin": ("192.0.2.3", "2001:db8::3", 1, ("AS", "OC", "AN")),
}
# Of clients whose continent is not known, and first in failover.
FIRST = "fra"

# Kinds of names that are decided. `aaaa` is `geo` asked for IPv6.
POLICIES = {
    "geo": "geo",
    "aaaa": "geo",
    "failover": "failover",
    "even": "round-robin",
    "weighted": "weighted",
    "hash": "hash",
}

# Of each kind that is not the one with a million names.
FEW = 1000
FILES, NAMES_PER_FILE = 1000, 1000

V4, V6, WEIGHT, CONTINENTS = range(4)


class World:
    """One scale: how many names of which kind, and the files that servers share."""

    def __init__(self, folder, scale, health_port, all_down):
        self.folder = folder
        self.health_port, self.all_down = health_port, all_down
        if scale == "1k":
            self.counts = dict.fromkeys([*POLICIES, "static"], FEW)
        else:
            self.counts = {"geo": FILES * NAMES_PER_FILE, "aaaa": FEW, "static": FEW}
        self.million = scale == "1m"

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, parts):
        """Writes text, or pieces of it, and says where."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.writelines([parts] if isinstance(parts, str) else parts)
        return path

    def numbered(self, kind):
        """Names of a kind, relative to the zone."""
        return (f"{kind}{number}" for number in range(self.counts.get(kind, 0)))

    @property
    def policies(self):
        return {kind: policy for kind, policy in POLICIES.items() if kind in self.counts}

    def read_continents(self, lines):
        """Takes lines of FIRST LAST CONTINENT; writes what the loader checks by."""
        self.ranges = []
        for line in lines:
            first, last, continent = line.split()
            self.ranges.append((first, last, continent))
        site_of = {code: site for site, facts in SITES.items() for code in facts[CONTINENTS]}
        text = [f"default {SITES[FIRST][V4]}\n"]
        for first, last, continent in self.ranges:
            if ":" not in first:
                text.append(f"{first} {last} {SITES[site_of[continent]][V4]}\n")
        self.by_client = self.write("by-client.txt", text)

    def networks(self):
        """(network, site), neighbours of one site as one."""
        site_of = {code: site for site, facts in SITES.items() for code in facts[CONTINENTS]}
        joined = []
        for first, last, continent in self.ranges:
            first, last = ipaddress.ip_address(first), ipaddress.ip_address(last)
            site = site_of[continent]
            if joined and joined[-1][2] == site and joined[-1][1] + 1 == first:
                joined[-1][1] = last
            else:
                joined.append([first, last, site])
        for first, last, site in joined:
            for network in ipaddress.summarize_address_range(first, last):
                yield network, site

    def database(self):
        """A MaxMind DB of the continents; made once."""
        path = self.path("continents.mmdb")
        if not os.path.exists(path):
            address = ipaddress.ip_address
            ranges = (
                (address(first), address(last), {"continent": {"code": continent}})
                for first, last, continent in self.ranges
            )
            with open(path + ".new", "wb") as file:
                file.write(mmdb.database(ranges, 0))
            os.rename(path + ".new", path)
        return path

    def zone_file(self, name, decided=None):
        """A master file. `decided(kind, name)` makes the lines of a decided name; without
        it such names have fixed addresses."""

        def lines():
            yield f"$ORIGIN {ZONE}.\n$TTL {TTL_S}\n"
            yield f"@ SOA ns1 hostmaster.example.com. 1 7200 1800 259200 {TTL_S}\n"
            yield "@ NS ns1\nns1 A 127.0.0.1\n"
            v4, v6 = SITES[FIRST][V4], SITES[FIRST][V6]
            for kind in self.policies:
                for label in self.numbered(kind):
                    if decided is not None:
                        yield decided(kind, label)
                    else:
                        yield f"{label} AAAA {v6}\n" if kind == "aaaa" else f"{label} A {v4}\n"
            for label in self.numbered("static"):
                yield f"{label} A {v4}\n"

        return self.write(name, lines())
