"""A member that was lost and is up again: held until time or the operator lets it in,
and then with a share of clients that grows.
"""

import time

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "127.0.14.11", "127.0.14.12"
ZONE = "gslb.example.com"
AFTER_S, RAMP_S = 4, 16
TTL_MIN_S = 1

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.web]
type = "http"
host = "app.example.com"
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
health_check = "web"
ttl_min = "{TTL_MIN_S}s"

[wip."auto.{ZONE}"]

[wip."manual.{ZONE}"]
failback = "manual"

[wip."after.{ZONE}"]
failback = "after:{AFTER_S}s"

[wip."ramp.{ZONE}"]
ramp = "{RAMP_S}s"

[wip."turns.{ZONE}"]
policy = "round-robin"
ramp = "{RAMP_S}s"
"""

UP, HELD = 1, 6
# Of as many clients, a share of one half is within 0.12 nearly always.
CLIENTS = [f"20.{index // 250}.{index % 250}.0/24" for index in range(400)]


class ComingBack(Story):
    def setUp(self):
        super().setUp()
        self.fra = parts.BackEnd(self, FRA)
        self.iad = parts.BackEnd(self, IAD)
        self.server = Windrose(self, CONFIG).start()

    def answer(self, name, **options):
        return self.server.ask(f"{name}.{ZONE}", **options).addresses()

    def lose_fra(self, *names):
        for name in names:
            self.assertEqual(self.answer(name), [FRA])
        self.fra.stop()
        wait_until("fra is lost",
                   lambda: all(self.answer(name) == [IAD] for name in names), 10)
        self.fra.start()
        wait_until("fra is back", lambda: self.answer("auto") == [FRA], 10)

    def state(self, name):
        return self.server.member_state(f"{name}.{ZONE}", "fra")

    def test_failback(self):
        self.lose_fra("auto", "manual", "after")
        started = time.monotonic()
        self.assertEqual((self.state("manual"), self.state("after")), (HELD, HELD))
        self.assertEqual((self.answer("manual"), self.answer("after")), ([IAD], [IAD]))
        self.assertIn("up, held (failback manual)",
                      self.server.command("explain", f"manual.{ZONE}"))
        self.assertTrue(self.server.logged("member is up and held"))
        effective = [m["effective"] for m in self.server.status()["members_not_up"]]
        self.assertIn("held", effective)
        wait_until("after its time", lambda: self.answer("after") == [FRA], AFTER_S + 3)
        report(f"failback after:{AFTER_S}s: back {time.monotonic() - started:.1f} s after auto")
        self.assertEqual(self.answer("manual"), [IAD], "no time is long enough")

        # A reload keeps the hold.
        self.server.write(CONFIG.replace("[datacenter.fra]", "[datacenter.fra] # touched"))
        wait_until("it is loaded", lambda: self.server.logged("config loaded"), 5)
        self.assertEqual((self.answer("manual"), self.state("manual")), ([IAD], HELD))

        # Nobody else left: held comes before failing open, with the least TTL.
        self.iad.stop()
        wait_until("held is better than down", lambda: self.answer("manual") == [FRA], 10)
        self.assertEqual(self.server.ask(f"manual.{ZONE}").ttl, TTL_MIN_S)
        self.iad.start()
        iad = lambda: self.server.member_state(f"manual.{ZONE}", "iad")  # noqa: E731
        wait_until("both are held", lambda: iad() == HELD, 10)
        self.assertEqual(self.answer("manual"), [FRA], "of those held, the first")

        # Without its rule the hold ends.
        self.server.write(CONFIG.replace('failback = "manual"', 'failback = "auto"'))
        wait_until("the holds end", lambda: (self.state("manual"), iad()) == (UP, UP), 5)
        self.assertEqual(self.answer("manual"), [FRA])
        self.assertGreater(self.server.ask(f"manual.{ZONE}").ttl, TTL_MIN_S)

    def share(self):
        """Of the clients' answers, how many hold fra; and who those clients are."""
        taken = {c for c in CLIENTS if self.answer("ramp", ecs=c) == [FRA]}
        return len(taken) / len(CLIENTS), taken

    def test_ramp(self):
        self.assertEqual(self.share()[0], 1.0, "a first start is no return")
        self.lose_fra("auto", "ramp")
        started = time.monotonic()
        seen, before = [], set()
        while True:
            early = time.monotonic() - started
            share, taken = self.share()
            late = time.monotonic() - started
            self.assertLessEqual(before, taken, "who is in stays in")
            before = taken
            # A probe's time before "auto" was seen to be back, a step behind.
            low, high = (early - 0.8) / RAMP_S - 0.12, (late + 0.8) / RAMP_S + 0.12
            self.assertTrue(low <= share <= high, f"{low:.2f} {share:.2f} {high:.2f}")
            seen.append(f"{early:.0f} s {share:.0%}")
            if share == 1.0:
                break
            if len(seen) == 2:
                self.assertRegex(self.server.command("explain", f"ramp.{ZONE}"),
                                 r"up, ramp \d+ % of clients")
                self.turns(started)
            self.assertEqual(self.state("ramp"), UP, "it is up all the while")
            time.sleep(2)
        report("ramp of %d s: %s" % (RAMP_S, ", ".join(seen)))

    def turns(self, started):
        early = time.monotonic() - started
        answers = [self.answer("turns") for _ in range(400)]
        late = time.monotonic() - started
        share = answers.count([FRA]) / len(answers)
        low, high = (early - 0.8) / RAMP_S / 2 - 0.08, (late + 0.8) / RAMP_S / 2 + 0.08
        self.assertTrue(low <= share <= high, f"{low:.2f} {share:.2f} {high:.2f}")
        self.assertRegex(self.server.command("explain", f"turns.{ZONE}"), r"ramp \d+ % of queries")
