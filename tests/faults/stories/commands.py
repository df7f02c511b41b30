"""Faults of commands and of files that others write."""

import os
import subprocess
import time

from bench import Fault, FaultStory, INTERVAL_S
from support.world import report, wait_until

HANGS = "sleep 1000"
FORKS = "sleep 1001 & sleep 1001 & sleep 1001 & exit 1"
FILLS = "yes full; exit 1"
ENDLESS = "exec yes endless"
FAILS = "echo 'the database is read-only'; exit 3"
KILLED = "kill -9 $$"


def running(words):
    """How many processes run with these words; /proc is that of the whole machine."""
    done = subprocess.run(["pgrep", "-f", "-x", words], capture_output=True, text=True)
    return len(done.stdout.split())


class Commands(FaultStory):
    REQUIRES = ("nft", "pgrep")

    def test_each_is_called_down_in_time_and_by_its_kind(self):
        cases = [
            ("hangs", HANGS, "timeout", "", True),
            ("forks", FORKS, "status", "exit status 1", False),
            ("fills", FILLS.replace("yes full", "head -c 10000000 /dev/zero"), "status",
             "exit status 1", False),
            ("endless", ENDLESS, "timeout", "", True),
            ("fails", FAILS, "status", "exit status 3.*the database is read-only", False),
            ("killed", KILLED, "status", "signal", False),
        ]
        faults = []
        for name, bad, kind, detail, slow in cases:
            script = self.write(f"{name}.sh", "#!/bin/sh\nexit 0\n")
            script.chmod(0o755)

            def worse(script=script, bad=bad):
                # In place of the old one at once: a script that is written is not run.
                aside = script.with_suffix(".new")
                aside.write_text(f"#!/bin/sh\n{bad}\n")
                aside.chmod(0o755)
                aside.rename(script)

            check = f'type = "exec"\ncommand = ["{script}", "{{address}}"]'
            faults.append(Fault(name, "10.6.0.1", check, worse, kind, detail, slow))
        self.serve(*faults)
        self.judge_all()
        self.assertEqual(self.server.process.stop(), 0)
        wait_until("nothing is left running", lambda: (
            running("sleep 100[01]") == 0 and running("yes endless") == 0,
            (running("sleep 100[01]"), running("yes endless"))), 5)


class Files(FaultStory):
    def test_a_file_says_down_and_a_file_that_says_nothing_is_no_verdict(self):
        names = ("says-down", "missing", "garbled", "old")
        files = {name: self.write(f"{name}.verdict", "up\n") for name in names}
        check = 'type = "file"\nfile = "../{}.verdict"'
        faults = {name: Fault(name, "10.6.1.1", check.format(name), None, "status", "")
                  for name in names}
        faults["old"].check += '\nmax_age = "2s"'
        down = faults["says-down"]
        down.detail = "the application team mends it"
        keep_young = files["old"]

        def freshen():
            os.utime(keep_young)
            return True

        freshen()
        self.serve(*faults.values())
        self.broken_s = time.time()
        files["says-down"].write_text("down the application team mends it\n")
        files["missing"].unlink()
        files["garbled"].write_text("perhaps\n")
        self.judge_down(down, self.broken_s)
        for name in ("missing", "garbled", "old"):
            fault = faults[name]
            took_s = wait_until(f"{name} is unknown", lambda: self.state(fault) == "unknown",
                                6 * INTERVAL_S + 5)
            report(f"{name}: unknown after {took_s:.1f} s more")
            self.assertFalse(self.downs(fault))
            self.assertEqual(self.server.ask(fault.wip).addresses(), ["10.6.1.1"])
        for path in files.values():
            path.write_text("up\n")
        for fault in faults.values():
            wait_until(f"{fault.name} is up again",
                       lambda: freshen() and self.state(fault) == "up", 15)
