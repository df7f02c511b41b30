"""What the comparison is made from: python3 -m unittest discover benches/compare"""

import ipaddress
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import mixes
import mmdb
import peers
import processes
import servers
import world

LINES = """1.0.0.0 1.0.0.255 OC
1.0.1.0 1.0.3.255 AS
1.0.4.0 1.0.4.0 EU
255.255.255.0 255.255.255.255 NA
64:ff9b::100:0 64:ff9b::100:ff OC
2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff AF
2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff EU
""".splitlines()


FOLDER = tempfile.TemporaryDirectory(prefix="windrose-compare-")


def tearDownModule():
    FOLDER.cleanup()


def small(scale="1k", all_down=False):
    folder = os.path.join(tempfile.mkdtemp(dir=FOLDER.name), scale)
    made = world.World(folder, scale, 1, all_down)
    made.read_continents(LINES)
    return made


def all_servers(made):
    return [servers.Windrose(made, 1, "windrose"),
            *(peer(made, 1) for peer in peers.PEERS.values())]


def look_up(database, address):
    """The data of an address, by a reader that shares nothing with the writer."""
    start = database.rindex(mmdb.MARKER) + len(mmdb.MARKER)
    metadata, _ = decode(database[start:], 0)
    count = metadata["node_count"]
    node = 0
    for depth in range(128):
        at = node * 8 + 4 * (address >> (127 - depth) & 1)
        node = int.from_bytes(database[at:at + 4], "big")
        if node == count:
            return None
        if node > count:
            return decode(database[count * 8 + 16:], node - count - 16)[0]
    raise AssertionError("no end within 128 bits")


def decode(data, at):
    kind, size = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 0:
        kind = data[at] + 7
        at += 1
    if size == 29:
        size = 29 + data[at]
        at += 1
    if kind == 7:
        found = {}
        for _ in range(size):
            key, at = decode(data, at)
            found[key], at = decode(data, at)
        return found, at
    if kind == 11:
        found = []
        for _ in range(size):
            item, at = decode(data, at)
            found.append(item)
        return found, at
    raw = data[at:at + size]
    return (raw.decode() if kind == 2 else int.from_bytes(raw, "big")), at + size


class Packages(unittest.TestCase):
    def test_a_program_whose_module_is_not_installed_needs_the_module(self):
        packages = ("knot", "knot-module-geoip")
        def missing(program, *installed):
            return processes.missing(packages, program, lambda package: package in installed)
        self.assertEqual(missing(None), list(packages))
        self.assertEqual(missing("/usr/sbin/knotd", "knot"), ["knot-module-geoip"])
        self.assertEqual(missing("/usr/sbin/knotd", *packages), [])
        self.assertEqual(missing("/opt/sbin/knotd"), [], "built elsewhere, with what it has")


class Networks(unittest.TestCase):
    def test_a_range_is_cut_into_the_fewest_networks(self):
        for first, last in ((0, 0), (0, 2**32 - 1), (1, 2**32 - 2), (5, 77), (256, 511)):
            found = [ipaddress.ip_network((number, length))
                     for number, length, _ in world.networks_of(first, last, "x", 32)]
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
            self.assertEqual(found, list(ipaddress.summarize_address_range(*ends)))

    def test_the_database_says_what_the_lines_say(self):
        made = small()
        with open(made.database(), "rb") as file:
            database = file.read()

        def continent(address):
            found = look_up(database, int(ipaddress.ip_address(address)))
            return found and found["continent"]["code"]

        for line in LINES:
            first, last, code = line.split()
            for address in (first, last):
                address = address if ":" in address else f"::{address}"
                self.assertEqual(continent(address), code, address)
        for address in ("::1.0.5.0", "::0.255.255.255", "2003::1"):
            self.assertIsNone(continent(address))

    def test_the_loader_is_told_the_site_of_every_range(self):
        made = small()
        with open(made.by_client) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[:3], [
            "default 192.0.2.1", "1.0.0.0 1.0.0.255 192.0.2.3", "1.0.1.0 1.0.3.255 192.0.2.3"])
        self.assertEqual(len(lines), 5)


class Configs(unittest.TestCase):
    def test_every_server_gets_a_config_at_every_scale(self):
        for made in (small(), small(all_down=True)):
            for server in all_servers(made):
                server.configure()
                self.assertTrue(os.listdir(server.folder), server.name)

    def test_the_same_names_are_everywhere(self):
        made = small()
        for server in all_servers(made):
            server.configure()
            text = ""
            for folder, _, names in os.walk(server.folder):
                for name in names:
                    with open(os.path.join(folder, name)) as file:
                        text += file.read()
            for kind in ("static", *(kind for kind in made.policies if kind in server.can)):
                for number in (0, 999):
                    self.assertIn(f"{kind}{number}", text, server.name)
                self.assertNotIn(f"{kind}1000", text, server.name)

    def test_health_is_down_when_all_are_to_be(self):
        for all_down, state in ((False, "UP"), (True, "DOWN")):
            server = peers.Gdnsd(small(all_down=all_down), 1)
            server.configure()
            with open(server.path("health")) as file:
                states = {line.split(" => ")[1].strip() for line in file}
            self.assertEqual(states, {state})


class Mixes(unittest.TestCase):
    def test_every_mix_is_asked_or_there_is_a_reason(self):
        for scale in ("1k", "1m"):
            made = small(scale)
            for mix in mixes.all_mixes(made).values():
                asked = [server for server in all_servers(made)
                         if mix.reason_against(server) is None]
                self.assertTrue(asked, mix.name)
                for server in asked:
                    self.assertTrue(mix.arguments_for(server))

    def test_the_floor_answers_as_long_as_the_mix_wants(self):
        found = mixes.all_mixes(small())
        self.assertEqual(found["geo"].floor, [])
        self.assertEqual(found["geo-ecs"].floor, ["--ecs"])
        self.assertEqual(found["aaaa"].floor, ["--aaaa"])
        given = ["--pattern", "x{}", "--type", "AAAA", "--expect-answers", "3", "--ecs"]
        self.assertEqual(mixes.own("mine", given).floor, ["--ecs", "--aaaa", "--records", "3"])

    def test_the_blend_is_as_said(self):
        made = small()
        mixes.write_blend(made)
        with open(made.path("blend.txt")) as file:
            kinds = [line.split(maxsplit=1)[1].strip() for line in file]
        shares = {kind: kinds.count(kind) / len(kinds) for kind in set(kinds)}
        self.assertEqual(shares, {
            "A 0 1 client": 0.5, "A 0 1": 0.2, "AAAA 0 1": 0.2, "65 0 0": 0.05, "A 3 0": 0.05})


if __name__ == "__main__":
    unittest.main()
