"""A service manager hears signs of life while the server works, and none while a part
of it is stuck: threads are stopped one by one, as a debugger does it.
"""

import ctypes
import os
import select
import socket
import time

from bench import HEAD, ZONE, FaultStory
from support.server import Windrose
from support.world import report, wait_until

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WATCHDOG_S = 2.0
# So long nothing must be heard, before the manager would act.
SILENCE_S = 2 * WATCHDOG_S

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def trace(request, thread):
    if LIBC.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")


class Stopped:
    """Threads that do nothing while this lasts; the others go on."""

    def __init__(self, process, name):
        self.threads = []
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/comm") as comm:
                if comm.read().strip().startswith(name):
                    self.threads.append(int(thread))
        assert self.threads, f"no thread is called {name}"

    def __enter__(self):
        for thread in self.threads:
            trace(SEIZE, thread)
            trace(INTERRUPT, thread)
            os.waitpid(thread, 0x40000000)  # __WALL

    def __exit__(self, *_):
        for thread in self.threads:
            trace(DETACH, thread)


class Supervised(FaultStory):
    REQUIRES = ("mount",)

    def setUp(self):
        super().setUp()
        # Of the story's own processes: those of the host have other numbers.
        self.tool("mount", "-t", "proc", "proc", "/proc")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        path = str(self.write("notify", ""))
        os.unlink(path)
        self.manager.bind(path)
        config = HEAD.replace("[server]", "[server]\nworkers = 2", 1) + (
            f'[datacenter.fra]\nvip = "127.0.0.1"\n'
            f'[health_check.ready]\ntype = "tcp"\nport = 53\ninterval = "1s"\ntimeout = "500ms"\n'
            f'[wip."shop.{ZONE}"]\nmembers = ["fra"]\nhealth_check = "ready"\n')
        self.server = Windrose(self, config).start(environment={
            **os.environ, "NOTIFY_SOCKET": path,
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1_000_000))})
        wait_until("it says that it is ready", lambda: "READY=1" in self.heard(), 20)
        self.lives(8)

    def heard(self, within_s=0.0):
        """All that was said since the last look."""
        texts = []
        while select.select([self.manager], [], [], within_s)[0]:
            texts.append(self.manager.recv(4_096).decode())
            within_s = 0
        return "\n".join(texts)

    def lives(self, within_s):
        self.heard()
        wait_until("a sign of life", lambda: "WATCHDOG=1" in self.heard(0.1), within_s)

    def is_silent_while_stopped(self, name, act=lambda: None, notice_s=0.0):
        with Stopped(self.server.process.child.pid, name):
            # Looks are every half second, and what was waiting is of the time before.
            end_s = time.monotonic() + notice_s + 1.5
            while time.monotonic() < end_s:
                act()
                self.heard(0.1)
            end_s = time.monotonic() + SILENCE_S
            while time.monotonic() < end_s:
                act()
                self.assertNotIn("WATCHDOG=1", self.heard(0.1), name)
        self.lives(20)
        report(f"{name}: no sign of life while it was stopped, and again after")

    def test_a_stuck_prober_is_not_hidden(self):
        # Its own watchdog gives it 3 seconds.
        self.is_silent_while_stopped("prober", notice_s=4.0)
        self.assertTrue(self.server.logged("no sign of life", reason="the prober is stuck or dead"))

    def test_stuck_udp_threads_are_not_hidden_once_somebody_asks(self):
        with Stopped(self.server.process.child.pid, "udp-"):
            # Nobody is kept waiting.
            self.lives(10)
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        query = (b"\x12\x34\0\0\0\1\0\0\0\0\0\0\4shop\4gslb\7example\3com\0\0\1\0\1")
        self.is_silent_while_stopped("udp-", lambda: client.sendto(query, ("127.0.0.1", 53)))

    def test_a_stuck_runtime_is_not_hidden(self):
        self.is_silent_while_stopped("windrose-io")

    def test_a_process_that_works_under_load_is_alive(self):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        query = (b"\x12\x34\0\0\0\1\0\0\0\0\0\0\4shop\4gslb\7example\3com\0\0\1\0\1")
        end_s = time.monotonic() + 5
        signs = 0
        while time.monotonic() < end_s:
            for _ in range(500):
                client.sendto(query, ("127.0.0.1", 53))
            signs += self.heard().count("WATCHDOG=1")
        self.assertGreaterEqual(signs, 3)
