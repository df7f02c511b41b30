"""The system's clock jumps, forward and back: verdicts and probing take no notice, and
a fault after each jump is still called within the formula.
"""

import time

from back_end import BackEnd, healthy
from bench import Fault, FaultStory
from support.clock import WallClock
from support.world import report, wait_until

HTTP = 'type = "http"\npath = "/healthz"'
DAY_S = 86_400


class Clock(FaultStory):
    REQUIRES = ("nft", "faketime")

    def test_no_verdict_changes_and_faults_are_seen_in_time(self):
        wall = WallClock(self)
        self.address("10.9.0.1")
        end = BackEnd(self, ("10.9.0.1", 80), healthy)
        fault = Fault("jumping", "10.9.0.1", HTTP, end.close, "refused", "")
        self.serve(fault, environment=wall.environment)
        for seconds in (DAY_S, -DAY_S, 40 * DAY_S, -3600, 0):
            wall.set(seconds)
            self.hold_up(2.5)
            began_s = time.monotonic()
            end.close()
            wait_until("down", lambda: self.state(fault) == "down", fault.most_s() + 5)
            took_s = time.monotonic() - began_s
            self.assertLess(took_s, fault.most_s() + 0.6)
            report(f"at {seconds:+d} s: down {took_s:.2f} s after its back end went")
            end.listen()
            # Each return takes longer than the one before: it flaps.
            wait_until("up again", lambda: self.state(fault) == "up", 30)
