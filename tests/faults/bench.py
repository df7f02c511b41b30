"""What the fault bench asserts: for each fault the verdict, its kind, and the time
from the fault to the verdict, read from the server's own log.

A story starts with back ends that behave, waits until all members are up, breaks
them all at one moment and looks at what is said of each. The limiter is off unless
a story is about it: so many faults at once would look like our own.
"""

import datetime
import re
import subprocess
import time

from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
INTERVAL_S, TIMEOUT_S, CONFIRM_S, FALL = 1.0, 0.6, 0.2, 3
# Beyond the formula: this machine runs several stories at once.
SLACK_S = 0.6
UP_WITHIN_S = 30

HEAD = f"""
[server]
listen = ["127.0.0.1:53"]

[health]
max_down_fraction = 1.0

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[wip_defaults]
policy = "failover"
"""

TIMES = f"""interval = "{INTERVAL_S:g}s"
timeout = "{TIMEOUT_S * 1000:g}ms"
confirm_interval = "{CONFIRM_S * 1000:g}ms"
fall = {FALL}
rise = 2
"""


class Fault:
    """One back end, one check, one way to fail.

    `check` is the inside of its [health_check] without times. `down` breaks it.
    `kind` and `detail` (a pattern) are what must be said; `slow`: each failed probe
    takes its whole timeout.
    """

    def __init__(self, name, address, check, down, kind, detail, slow=False):
        self.name = name
        self.address = address
        self.check = check
        self.down = down
        self.kind = kind
        self.detail = detail
        self.slow = slow

    @property
    def wip(self):
        return f"{self.name}.{ZONE}"

    def config(self):
        return (f"[health_check.{self.name}]\n{self.check.strip()}\n{TIMES}\n"
                f'[wip."{self.wip}"]\nmembers = [{{ name = "site", address = "{self.address}" }}]\n'
                f'health_check = "{self.name}"\n\n')

    def most_s(self):
        """The formula of docs/HEALTH.md."""
        each_s = TIMEOUT_S if self.slow else 0
        return 1.05 * INTERVAL_S + FALL * each_s + (FALL - 1) * 1.1 * CONFIRM_S + 0.1

    def least_s(self):
        """Three probes were made, and none of them at once."""
        confirms_s = (FALL - 1) * max(0.9 * CONFIRM_S, TIMEOUT_S if self.slow else 0)
        return confirms_s + (TIMEOUT_S if self.slow else 0) - 0.05


def unix_s(line):
    """When a line was logged."""
    return datetime.datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp()


class FaultStory(Story):
    """Windrose, and the faults that `faults()` gives."""

    REQUIRES = ("nft",)

    def setUp(self):
        super().setUp()
        self.faults = []

    def drop(self, rule, verdict="drop"):
        """Drops what matches an nftables rule of the input hook, or rejects it."""
        # The tests of a story share its network.
        self.addCleanup(self.restore)
        self.nft("add table inet faults",
                 "add chain inet faults input { type filter hook input priority 0; }",
                 f"add rule inet faults input {rule} {verdict}")

    def restore(self):
        """Lets everything through again."""
        self.nft("add table inet faults", "delete table inet faults")

    def nft(self, *commands):
        self.tool("nft", "-f", "-", input="\n".join(commands) + "\n")

    def serve(self, *faults, more="", environment=None):
        """Starts the server with these faults, all still behaving."""
        self.faults = list(faults)
        config = HEAD + more + "".join(fault.config() for fault in self.faults)
        self.server = Windrose(self, config).start(environment=environment)
        for fault in self.faults:
            wait_until(f"{fault.name} is up", lambda fault=fault: self.state(fault) == "up",
                       UP_WITHIN_S)

    def state(self, fault):
        number = self.server.member_state(fault.wip, "site")
        return ("unknown", "up", "down")[number]

    def break_all(self):
        """Breaks every back end; returns the moment, in unix seconds."""
        at_s = time.time()
        for fault in self.faults:
            fault.down()
        # What was under way may still have passed: the clock starts when all is broken.
        self.broken_s = time.time()
        return at_s

    def judge_down(self, fault, began_s):
        """Waits for the verdict DOWN and asserts its kind, words and time."""
        wait_until(f"{fault.name} is down", lambda: bool(self.downs(fault)), fault.most_s() + 15)
        line = self.downs(fault)[0]
        took_s = unix_s(line) - self.broken_s
        with self.subTest(fault=fault.name):
            # Where the network decides which of two it is, the kind is a pattern.
            self.assertRegex(line["reason"], re.compile(f"^({fault.kind})$"), line)
            self.assertRegex(line["detail"], re.compile(fault.detail), line)
            self.assertLessEqual(took_s, fault.most_s() + SLACK_S, line)
            self.assertGreaterEqual(unix_s(line) - began_s, fault.least_s(), line)
            self.assertEqual(self.state(fault), "down")
        report(f"{fault.name}: down after {took_s:.2f} s (at most {fault.most_s():.2f}), "
               f"{line['reason']}: {line['detail']}")

    def downs(self, fault):
        return self.server.logged("check is down", wip=fault.wip)

    def judge_all(self):
        began_s = self.break_all()
        for fault in self.faults:
            self.judge_down(fault, began_s)
        self.still_serving()

    def hold_up(self, seconds):
        """All stay up, and are probed, for so long."""
        probed = self.passed()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            for fault in self.faults:
                self.assertEqual(self.state(fault), "up", fault.name)
            time.sleep(0.1)
        for check, count in self.passed().items():
            self.assertGreater(count, probed[check], f"{check} is not probed any more")

    def passed(self):
        return {fault.name: self.server.metric("windrose_probe_results_total",
                                               check=fault.name, result="success")
                for fault in self.faults}

    def still_serving(self):
        """Nothing that back ends did reached DNS, and no probe is left behind."""
        answer = self.server.ask(self.faults[0].wip)
        self.assertEqual(answer.rcode, "NOERROR")
        self.assertFalse(self.server.logged("panicked"))

    def memory_mib(self):
        """The most memory the server ever had, in MiB."""
        # The /proc that stands there is that of the world outside.
        proc = self.directory / "proc"
        proc.mkdir()
        self.tool("mount", "-t", "proc", "proc", proc)
        self.addCleanup(self.tool, "umount", proc)
        text = (proc / str(self.server.process.child.pid) / "status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) // 1024


def openssl(story, *arguments):
    story.tool("openssl", *arguments)


class Authority:
    """A certificate authority of a story's own."""

    def __init__(self, story, name="ca"):
        self.story = story
        self.path = story.directory / name
        openssl(story, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "30", "-keyout", f"{self.path}.key", "-out", f"{self.path}.pem",
                "-subj", f"/CN=The authority {name}")

    def certificate(self, file, name, days=10, not_after=None):
        """FILE.pem and FILE.key for a DNS name; returns both paths."""
        path = self.story.directory / file
        self.story.write(f"{file}.ext", f"subjectAltName = DNS:{name}\nbasicConstraints = CA:FALSE\n")
        openssl(self.story, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{path}.key",
                "-out", f"{path}.csr", "-subj", f"/CN={name}")
        command = ["openssl", "x509", "-req", "-in", f"{path}.csr", "-CAcreateserial",
                   "-CA", f"{self.path}.pem", "-CAkey", f"{self.path}.key",
                   "-extfile", f"{path}.ext", "-out", f"{path}.pem", "-days", str(days)]
        if not_after is not None:
            # A clock of its own makes certificates that are over already.
            command = ["faketime", not_after] + command
        self.story.tool(*command)
        return f"{path}.pem", f"{path}.key"


def kernel_setting(story, name, value):
    """A sysctl of the story's own network; what it was returns with the test's end."""
    def write(value):
        subprocess.run(["sysctl", "-qw", f"{name}={value}"], check=True,
                       stdin=subprocess.DEVNULL)

    before = subprocess.run(["sysctl", "-n", name], check=True, capture_output=True,
                            text=True, stdin=subprocess.DEVNULL).stdout.strip()
    story.addCleanup(write, before)
    write(value)
