"""The prober's own network is cut: every datacenter seems lost at once, and none is."""

import time

from back_end import BackEnd, healthy
from bench import CONFIRM_S, FALL, INTERVAL_S, TIMEOUT_S, ZONE, FaultStory, unix_s
from support.server import Windrose
from support.world import report, wait_until

SITES = {"fra": "10.8.1.{}", "iad": "10.8.2.{}", "nrt": "10.8.3.{}"}
APPLICATIONS = 5
VERDICT_S = 1.05 * INTERVAL_S + FALL * TIMEOUT_S + (FALL - 1) * 1.1 * CONFIRM_S

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[health]
max_down_fraction = 0.5
limiter_window = "5s"

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[health_check.ready]
type = "http"
interval = "{INTERVAL_S:g}s"
timeout = "{TIMEOUT_S * 1000:g}ms"
confirm_interval = "{CONFIRM_S * 1000:g}ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad", "nrt"]
health_check = "ready"
on_all_down = "nodata"

""" + "".join(f'[datacenter.{site}]\nvip = "{pattern.format(1)}"\n\n'
              for site, pattern in SITES.items()) + "".join(
    f'[wip."app{number}.{ZONE}"]\n' for number in range(APPLICATIONS))


class Limiter(FaultStory):
    def setUp(self):
        super().setUp()
        self.ends = {}
        for site, pattern in SITES.items():
            address = pattern.format(1)
            self.address(address)
            self.ends[site] = BackEnd(self, (address, 80), healthy)
        self.server = Windrose(self, CONFIG).start()
        for number in range(APPLICATIONS):
            for site in SITES:
                wait_until(f"app{number} is up at {site}", lambda number=number, site=site:
                           self.server.member_state(f"app{number}.{ZONE}", site) == 1, 30)

    def answer(self, number=0):
        return self.server.ask(f"app{number}.{ZONE}").addresses()

    def active(self):
        return self.server.metric("windrose_limiter_active")

    def downs(self):
        return self.server.logged("check is down")

    def test_our_own_network_cut_takes_nothing_down_and_is_said_loudly(self):
        self.assertEqual(self.active(), 0)
        cut_s = time.time()
        self.drop("ip saddr 10.8.0.0/16 ip daddr 10.8.0.0/16")
        wait_until("the limiter trips", lambda: self.active() == 1, VERDICT_S + 5)
        tripped = self.server.logged("limiter")
        self.assertTrue([line for line in tripped if line["level"] == "ERROR"], tripped)
        report(f"tripped {unix_s(tripped[0]) - cut_s:.2f} s after the cut")
        end_s = time.monotonic() + 2 * VERDICT_S
        while time.monotonic() < end_s:
            for number in range(APPLICATIONS):
                self.assertEqual(len(self.answer(number)), 1, "no service is emptied")
            time.sleep(0.1)
        for number in range(APPLICATIONS):
            for site in SITES:
                self.assertEqual(self.server.member_state(f"app{number}.{ZONE}", site), 1)
        self.restore()
        restored_s = time.time()
        wait_until("the limiter lets go", lambda: self.active() == 0, 15)
        report(f"released {time.time() - restored_s:.2f} s after the network was back")
        time.sleep(VERDICT_S)
        self.assertEqual(self.answer(), [SITES["fra"].format(1)])
        states = [self.server.member_state(f"app{number}.{ZONE}", site)
                  for number in range(APPLICATIONS) for site in SITES]
        self.assertEqual(set(states), {1})

    def test_one_datacenter_lost_is_never_held_back(self):
        cut_s = time.time()
        self.drop("ip daddr 10.8.1.1")
        wait_until("answers leave fra", lambda: all(
            self.answer(number) == [SITES["iad"].format(1)] for number in range(APPLICATIONS)),
            VERDICT_S + 2)
        took_s = time.time() - cut_s
        report(f"fra's loss moved all answers after {took_s:.2f} s (at most {VERDICT_S + 0.1:.2f})")
        self.assertLess(took_s, VERDICT_S + 0.1 + 0.6)
        self.assertEqual(self.active(), 0)

    def test_two_of_three_lost_are_lost(self):
        self.drop("ip daddr { 10.8.1.1, 10.8.2.1 }")
        wait_until("answers go to the third", lambda: all(
            self.answer(number) == [SITES["nrt"].format(1)] for number in range(APPLICATIONS)),
            VERDICT_S + 2)
        self.assertEqual(self.active(), 0)

    def test_an_operator_who_knows_better_releases_it(self):
        for end in self.ends.values():
            end.close()
        wait_until("the limiter trips", lambda: self.active() == 1, VERDICT_S + 5)
        self.assertEqual(len(self.answer()), 1)
        self.server.command("limiter", "release")
        wait_until("what fails is down", lambda: self.answer() == [], VERDICT_S + 5)
        self.assertEqual(self.active(), 0)
