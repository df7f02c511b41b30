"""When the fault is our own: no descriptors, no ports, no route for a family. Nothing
may be called down for it.
"""

import socket
import time

from back_end import BackEnd, healthy, silent
from bench import HEAD, TIMES, ZONE, Fault, FaultStory, kernel_setting
from support import programs
from support.server import Windrose
from support.world import report, wait_until

HTTP = 'type = "http"\npath = "/healthz"'


def crowd(count, address, port=80):
    """WIPs whose probes all go to one place, each with a name of its own to ask for."""
    check = (f'[health_check.crowd]\ntype = "http"\nport = {port}\ninterval = "2s"\n'
             'timeout = "1900ms"\nconfirm_interval = "1s"\n')
    wips = "".join(f'[wip."crowd{number}.{ZONE}"]\nhealth_check = "crowd"\n'
                   f'members = [{{ name = "site", address = "{address}" }}]\n'
                   for number in range(count))
    return check + wips


class Descriptors(FaultStory):
    REQUIRES = ("nft", "prlimit")

    def test_without_descriptors_nothing_is_called_down(self):
        self.address("10.7.0.1", "10.7.0.2")
        BackEnd(self, ("10.7.0.1", 80), healthy)
        BackEnd(self, ("10.7.0.2", 80), silent)
        fault = Fault("well", "10.7.0.1", HTTP, lambda: None, "", "")
        self.serve(fault, more=crowd(60, "10.7.0.2"))
        # Less than is open already. A load would raise it again.
        self.tool("prlimit", "--pid", str(self.server.process.child.pid), "--nofile=30:")
        # DNS goes on; the admin listener may have no descriptor for a scrape meanwhile.
        end_s = time.monotonic() + 8
        while time.monotonic() < end_s:
            self.assertEqual(self.server.ask(fault.wip).addresses(), ["10.7.0.1"])
            self.assertFalse(self.downs(fault))
            time.sleep(0.2)
        self.tool("prlimit", "--pid", str(self.server.process.child.pid), "--nofile=1024:")
        wait_until("well is judged again", lambda: self.state(fault) == "up", 15)
        failed = self.server.metric("windrose_probe_results_total", check="crowd",
                                    result="internal")
        report(f"{failed:.0f} probes failed for want of descriptors; nobody was blamed")
        self.assertGreater(failed, 0)
        self.assertFalse(self.downs(fault))

    def test_with_few_descriptors_from_the_start_probes_leave_some_to_others(self):
        self.address("10.7.0.3", "10.7.0.4")
        BackEnd(self, ("10.7.0.3", 80), healthy)
        BackEnd(self, ("10.7.0.4", 80), silent)
        fault = Fault("well", "10.7.0.3", HTTP, lambda: None, "", "")
        self.faults = [fault]
        self.server = Windrose(self, HEAD + fault.config() + crowd(400, "10.7.0.4"))
        self.server.process = self.start("windrose", "prlimit", "--nofile=200:200",
                                         programs.windrose(), "serve", "--config",
                                         self.server.path)
        wait_until("well is up", lambda: self.state(fault) == "up", 20)
        end_s = time.monotonic() + 8
        while time.monotonic() < end_s:
            self.assertEqual(self.server.ask(fault.wip).addresses(), ["10.7.0.3"])
            # A scrape needs a descriptor, too. Probes wait for each other, so some of
            # them come too late for a verdict.
            self.assertIn(self.state(fault), ("up", "unknown"))
            time.sleep(0.2)
        self.assertFalse(self.downs(fault))
        self.assertEqual(self.server.metric(
            "windrose_probe_results_total", check="crowd", result="internal"), 0)


class Ports(FaultStory):
    REQUIRES = ("nft", "sysctl")

    def test_without_ports_nothing_is_called_down(self):
        kernel_setting(self, "net.ipv4.ip_local_port_range", "61000 61007")
        self.address("10.7.1.1")
        # Every probe holds its port for its whole timeout.
        BackEnd(self, ("10.7.1.1", 81), silent)
        BackEnd(self, ("10.7.1.1", 80), healthy)
        fault = Fault("well", "10.7.1.1", HTTP, lambda: None, "", "")
        config = HEAD + fault.config() + crowd(40, "10.7.1.1", 81)
        self.faults = [fault]
        self.server = Windrose(self, config).start(ready=False)
        wait_until("probes fail for want of ports", lambda: self.server.metric(
            "windrose_probe_results_total", check="crowd", result="internal") > 0, 30)
        # Ports are counted by where they lead: the healthy one has its own.
        wait_until("well is up", lambda: self.state(fault) == "up", 15)
        time.sleep(5)
        self.assertFalse(self.downs(fault))
        silent_down = self.server.logged("check is down", check="crowd")
        self.assertTrue(all(line["reason"] == "timeout" for line in silent_down), silent_down[:1])


class OneFamily(FaultStory):
    """A host without IPv4 routes beside loopback, and a site that has IPv6 alone."""

    def test_an_ipv6_only_site_is_judged(self):
        self.address("fd00:7::1")
        end = BackEnd(self, ("fd00:7::1", 80), healthy, family=socket.AF_INET6)
        fault = Fault("six", "fd00:7::1", HTTP, end.close, "refused", "connection refused")
        self.serve(fault)
        self.assertEqual(self.server.ask(fault.wip, "AAAA").addresses(), ["fd00:7::1"])
        self.assertEqual(self.server.ask(fault.wip, "A").addresses(), [])
        self.judge_all()

    def test_a_family_without_a_route_is_not_judged(self):
        """The site's IPv6 address leads nowhere from here: its IPv4 address speaks for it."""
        self.address("10.7.2.1")
        end = BackEnd(self, ("10.7.2.1", 80), healthy)
        config = HEAD + f"""
[health_check.both]
{HTTP}
{TIMES}
[wip."both.{ZONE}"]
health_check = "both"
members = [{{ name = "site", address = ["10.7.2.1", "2001:db8::1"] }}]
on_all_down = "nodata"
"""
        self.server = Windrose(self, config).start(ready=False)
        wip = f"both.{ZONE}"

        def answers(rtype):
            return self.server.ask(wip, rtype).addresses()

        wait_until("its IPv4 address is up", lambda: "up" in [
            line["to"] for line in self.server.logged("check is up", wip=wip)], 15)
        self.assertEqual(answers("AAAA"), ["2001:db8::1"])
        end.close()
        wait_until("IPv4 lost, IPv6 is too", lambda: answers("A") == answers("AAAA") == [], 10)
        end.listen()
        wait_until("both return", lambda: answers("AAAA") == ["2001:db8::1"], 10)
        self.assertFalse([line for line in self.server.logged("check is down", wip=wip)
                          if line["address"] == "2001:db8::1"])
