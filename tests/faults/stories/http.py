"""Faults of HTTP: slow, endless, cut, garbled, smuggled, wrong."""

from back_end import (BackEnd, drip, endless, healthy, page, redirect, reset_after, says)
from bench import Fault, FaultStory
from support.world import report

HTTP = 'type = "http"\npath = "/healthz"'
BODY = HTTP + '\nexpect_body = "ready"'
REDIRECTS = HTTP + "\nfollow_redirects = true"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BIG = 64 * 1024 * 1024
# Each back end costs max_body and some buffers, however much it sends.
MEMORY_MIB_MOST = 150


class Http(FaultStory):
    def test_each_is_called_down_in_time_and_by_its_kind(self):
        cases = [
            ("status", HTTP, says(page(status="503 Service Unavailable")), "status",
             "status 503, expected 200-299", False),
            ("slow-head", HTTP, drip(HEAD, b"X-Slow: 1\r\n"), "timeout", "no response", True),
            ("slow-line", HTTP, drip(b"HTTP/1.1 2", b"0"), "(timeout|protocol)", "", True),
            ("slow-body", BODY, drip(HEAD + b"Content-Length: 99999\r\n\r\n", b"x"), "timeout",
             "expected text not in the body within", True),
            ("reset-body", BODY, reset_after(HEAD + b"Content-Length: 50\r\n\r\nrea"), "reset",
             "reset", False),
            ("cut-body", BODY, says(HEAD + b"Content-Length: 50\r\n\r\nrea"), "protocol",
             "closed before a whole response", False),
            ("endless-body", BODY, endless(HEAD + b"\r\n", b"x" * 65536), "body",
             "not in the body's 65536 bytes", False),
            ("endless-chunks", BODY, endless(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
             "body", "not in the body's 65536 bytes", False),
            ("endless-head", HTTP, endless(HEAD, b"X-Long: " + b"y" * 4000 + b"\r\n"), "protocol",
             "headers too large|too many", False),
            ("garbage", HTTP, says(b"\x00\xff\x13\x37 not HTTP at all\r\n\r\n"), "protocol",
             "not an HTTP", False),
            ("ssh", HTTP, says(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol", "", False),
            ("chunk-garbage", BODY, says(CHUNKED + b"zz\r\nready\r\n0\r\n\r\n"), "protocol", "",
             False),
            ("chunk-overflow", BODY,
             says(CHUNKED + b"ffffffffffffffffff\r\nready\r\n0\r\n\r\n"), "protocol", "", False),
            ("smuggled", BODY,
             says(CHUNKED + b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nready"), "body",
             "not in the body's 3 bytes", False),
            ("two-lengths", BODY,
             says(HEAD + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nready"), "protocol", "",
             False),
            ("redirect", HTTP, redirect("/elsewhere"), "status", "status 302", False),
            ("redirect-loop", REDIRECTS, redirect("/healthz"), "status", "redirect", False),
            ("big-without", BODY, says(page(b"x" * BIG)), "body", "not in the body's 65536 bytes",
             False),
        ]
        faults = []
        for number, (name, check, bad, kind, detail, slow) in enumerate(cases, 1):
            address = f"10.2.0.{number}"
            self.address(address)
            end = BackEnd(self, (address, 80), healthy)
            faults.append(Fault(name, address, check, lambda end=end, bad=bad:
                                setattr(end, "handle", bad), kind, detail, slow))
        self.serve(*faults)
        self.judge_all()
        memory_mib = self.memory_mib()
        report(f"most memory the server had: {memory_mib} MiB")
        self.assertLess(memory_mib, MEMORY_MIB_MOST)


class GoodBodies(FaultStory):
    """What looks like trouble and is none."""

    def test_big_and_odd_responses_pass(self):
        cases = [
            # The text ends on the last byte looked at.
            ("kib-64", BODY, says(page(b"x" * (65536 - 5) + b"ready"))),
            ("mib-64", BODY, says(page(b"ready" + b"x" * BIG))),
            ("at-close", BODY, says(HEAD + b"\r\nready")),
            ("interim", HTTP, says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + page())),
            ("chunks", BODY, says(CHUNKED + b"3;x=y\r\nrea\r\n2\r\ndy\r\n0\r\nT: 1\r\n\r\n")),
            ("endless-unread", HTTP, endless(HEAD + b"\r\n", b"x" * 65536)),
        ]
        faults = []
        for number, (name, check, handle) in enumerate(cases, 1):
            address = f"10.2.1.{number}"
            self.address(address)
            BackEnd(self, (address, 80), handle)
            faults.append(Fault(name, address, check, lambda: None, "", ""))
        self.serve(*faults)
        self.hold_up(3)
        self.assertLess(self.memory_mib(), MEMORY_MIB_MOST)
