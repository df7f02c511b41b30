"""The config changes while queries come in: a good file, a broken one, a truncated
one, a new one, and Kubernetes' swapped links. No query is lost.
"""

import os
import signal
import threading
import time

from support import wire
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
# A change is seen by a notice; looking again every few seconds is the reserve.
SEEN_WITHIN_S = 5

HEAD = f"""
include = ["wips.d/*.toml"]

[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "%s"

[wip_defaults]
members = ["fra"]
ttl = "7s"
"""


def config(vip, names):
    return HEAD % vip + "".join(f'[wip."{name}.{ZONE}"]\n' for name in names)


NAMES = [f"app{number}" for number in range(10)]


class Load(threading.Thread):
    """Asks without a pause, over UDP and now and then TCP, until it is stopped."""

    def __init__(self, server, allowed):
        super().__init__(daemon=True)
        self.server, self.allowed = server, allowed
        self.asked, self.wrong = 0, []
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            self.asked += 1
            try:
                reply = self.server.ask(f"app1.{ZONE}", tcp=self.asked % 20 == 0, timeout_s=1)
                if reply.rcode != "NOERROR" or reply.addresses()[0] not in self.allowed:
                    self.wrong.append(reply)
            except (OSError, wire.NoReply, AssertionError) as error:
                self.wrong.append(error)

    def end(self):
        self.ending.set()
        self.join(5)
        return self.asked, self.wrong


class Reload(Story):
    def reloads(self):
        """Counts of reloads taken and refused so far."""
        taken = len(self.server.logged("config loaded"))
        return taken, len(self.server.logged("config refused"))

    def settled(self, taken, refused):
        wait_until(f"{taken} reloads taken, {refused} refused",
                   lambda: (self.reloads() == (taken, refused), self.reloads()), SEEN_WITHIN_S)
        success = self.server.metric("windrose_config_reload_success")
        generation = self.server.metric("windrose_config_generation")
        self.assertEqual(generation, 1 + taken)
        return success

    def answer(self, name="app1"):
        return self.server.ask(f"{name}.{ZONE}").addresses()

    def test_good_broken_and_truncated_files_under_load(self):
        self.server = Windrose(self, config("192.0.2.1", NAMES)).start()
        loads = [Load(self.server, {f"192.0.2.{n}" for n in range(1, 9)}) for _ in range(2)]
        for load in loads:
            load.start()

        self.server.write(config("192.0.2.2", NAMES))
        seconds = wait_until("the new address", lambda: self.answer() == ["192.0.2.2"], SEEN_WITHIN_S)
        report(f"a changed file was in force after {seconds:.2f} s")
        self.assertEqual(self.settled(1, 0), 1)

        # Written in place, as a plain editor does.
        self.server.path.write_text(config("192.0.2.3", NAMES))
        wait_until("written in place", lambda: self.answer() == ["192.0.2.3"], SEEN_WITHIN_S)
        self.assertEqual(self.settled(2, 0), 1)

        self.server.write(config("192.0.2.4", NAMES) + '[wip."bad.elsewhere.org"]\nttle = 3\n')
        self.assertEqual(self.settled(2, 1), 0)
        self.assertEqual(self.answer(), ["192.0.2.3"])
        (refused,) = self.server.logged("config refused")
        self.assertEqual(refused["level"], "ERROR")
        self.assertIn("ttle", refused["message"])
        self.assertIn("windrose.toml:", refused["message"])
        self.assertIn("ttle", self.server.status()["config"]["last_reload_refused"]["report"])

        self.server.write(config("192.0.2.5", NAMES))
        self.assertEqual(self.settled(3, 1), 1)
        self.assertIsNone(self.server.status()["config"]["last_reload_refused"])

        # A file cut short is valid TOML, and would empty the zone.
        self.server.write(config("192.0.2.6", NAMES[:6]))
        self.assertEqual(self.settled(3, 2), 0)
        self.assertEqual(self.answer("app9"), ["192.0.2.5"])
        self.assertIn("4 of 10 WIPs", self.server.logged("config refused")[-1]["message"])
        self.server.process.signal(signal.SIGHUP)
        self.assertEqual(self.settled(4, 2), 1)
        self.assertEqual(self.answer(), ["192.0.2.6"])
        self.assertEqual(self.server.ask(f"app9.{ZONE}").rcode, "NXDOMAIN")

        # SIGHUP on a broken file is refused as well, the command says why.
        self.server.write("this is no TOML = = =")
        self.assertEqual(self.settled(4, 3), 0)
        self.server.process.signal(signal.SIGHUP)
        self.assertEqual(self.settled(4, 4), 0)
        self.server.path.unlink()
        self.assertEqual(self.settled(4, 5), 0)
        self.assertEqual(self.answer(), ["192.0.2.6"])
        self.server.write(config("192.0.2.7", NAMES))
        self.assertEqual(self.settled(5, 5), 1)

        # A new file in a directory that is included; it did not even exist.
        (self.server.path.parent / "wips.d").mkdir()
        extra = self.server.path.parent / "wips.d" / "team.toml"
        extra.write_text(f'[wip."team.{ZONE}"]\n')
        seconds = wait_until("the new file", lambda: self.answer("team") == ["192.0.2.7"],
                             SEEN_WITHIN_S)
        report(f"a new file in a new included directory was in force after {seconds:.2f} s")
        self.assertIn("nothing changed", self.server.command("reload"))

        for load in loads:
            asked, wrong = load.end()
            report(f"{asked} queries during these reloads, {len(wrong)} lost or wrong")
            self.assertEqual(wrong[:3], [])
            self.assertGreater(asked, 500)

    def test_kubernetes_swaps_links(self):
        self.server = Windrose(self, config("192.0.2.1", NAMES))
        mount = self.server.path.parent
        self.server.path.unlink()

        def publish(version, text):
            """What the kubelet does: a directory aside, then one link renamed."""
            (mount / version).mkdir()
            (mount / version / "windrose.toml").write_text(text)
            os.symlink(version, mount / "..data_tmp")
            os.rename(mount / "..data_tmp", mount / "..data")

        publish("..2026_1", config("192.0.2.1", NAMES))
        os.symlink("..data/windrose.toml", self.server.path)
        self.server.start()
        self.assertEqual(self.answer(), ["192.0.2.1"])
        publish("..2026_2", config("192.0.2.2", NAMES))
        seconds = wait_until("the new version", lambda: self.answer() == ["192.0.2.2"], SEEN_WITHIN_S)
        report(f"a ConfigMap's swapped link was in force after {seconds:.2f} s")
        self.assertEqual(self.settled(1, 0), 1)

    def test_a_file_written_slowly_is_loaded_once_and_whole(self):
        self.server = Windrose(self, config("192.0.2.1", NAMES)).start()
        text = config("192.0.2.2", NAMES)
        with self.server.path.open("w") as file:
            for line in text.splitlines(keepends=True):
                file.write(line)
                file.flush()
                time.sleep(0.02)  # slower than a look, faster than settling
        wait_until("the whole file", lambda: self.answer() == ["192.0.2.2"], SEEN_WITHIN_S)
        self.assertEqual(self.settled(1, 0), 1)
