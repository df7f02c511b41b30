"""A story's world: a directory, addresses on the loopback interface, processes
that end with it, and waiting by looking instead of by sleeping.

`run.py` starts every story in network, process and mount namespaces of its own: a
story may use port 53 and any address, cannot meet another story, and whatever
it started ends with it, even when the story itself is killed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from . import programs

LOOK_EVERY_S = 0.02
STOP_WAIT_S = 5.0
MEASURED = "  · "
LOG_LINES_SHOWN = 15


def report(text):
    """Says what was measured; `run.py` shows these lines of a story that passed."""
    print(f"{MEASURED}{text}", flush=True)


def wait_until(what, look, within_s, every_s=LOOK_EVERY_S):
    """Looks until `look()` is true and returns the seconds it took.

    `look` returns a truth, or (truth, what is seen); an exception counts as
    not yet. Fails with what was seen last.
    """
    start = time.monotonic()
    while True:
        try:
            result = look()
        except (AssertionError, OSError, ValueError, LookupError, subprocess.SubprocessError,
                programs.NotYet) as error:
            result = (False, repr(error))
        done, seen = result if isinstance(result, tuple) else (result, result)
        elapsed = time.monotonic() - start
        if done:
            return elapsed
        if elapsed > within_s:
            raise AssertionError(f"{what}: not within {within_s:.1f} s; last seen: {seen}")
        time.sleep(every_s)


class Process:
    """A program that was started, with its output in a file."""

    def __init__(self, name, arguments, log, environment):
        self.name = name
        self.log = Path(log)
        with self.log.open("ab") as output:
            # No input, a group of its own: a signal for it goes to its children too.
            self.child = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment, start_new_session=True,
            )

    def alive(self):
        return self.child.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def signal(self, number):
        os.kill(self.child.pid, number)

    def kill(self):
        """Ends it and its children at once, as a power cut would."""
        if self.alive():
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def stop(self, within_s=STOP_WAIT_S):
        """Asks it to end and returns its exit status."""
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            return self.child.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {within_s} s") from None


class Story(unittest.TestCase):
    """A story: each test gets a directory and processes that end with it.

    `REQUIRES` names the programs it runs, `DATA` the npm packages it reads; a
    missing one fails the story.
    """

    REQUIRES = ()
    DATA = ()
    maxDiff = None

    def setUp(self):
        programs.demand(self.REQUIRES)
        self.directory = Path(tempfile.mkdtemp(prefix="windrose-story-"))
        self.processes = []
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(self._end_processes)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            print(getattr(self, "_logs", ""))

    def _end_processes(self):
        shown = []
        for process in self.processes:
            lines = process.output().splitlines()[-LOG_LINES_SHOWN:]
            shown += [f"--- the end of the output of {process.name}:", *lines]
        self._logs = "\n".join(shown)
        for process in reversed(self.processes):
            process.kill()

    def address(self, *addresses):
        """Gives this machine further addresses."""
        for address in addresses:
            length = 128 if ":" in address else 32
            extra = ["nodad"] if ":" in address else []
            subprocess.run(
                ["ip", "address", "replace", f"{address}/{length}", "dev", "lo", *extra],
                check=True, stdin=subprocess.DEVNULL,
            )

    def use_resolver(self, address):
        """Makes a resolver that of this machine, for programs that look names up."""
        path = self.write("resolv.conf", f"nameserver {address}\n")
        command = ["mount", "--bind", str(path), "/etc/resolv.conf"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        self.addCleanup(subprocess.run, ["umount", "/etc/resolv.conf"], check=True)

    def write(self, name, text):
        """Writes a file of this story's directory and returns its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, name, *arguments, environment=None):
        """Starts a program; its name is also that of its log."""
        arguments = [str(argument) for argument in arguments]
        arguments[0] = programs.find(arguments[0])
        whole = {**os.environ, **(environment or {})}
        process = Process(name, arguments, self.directory / f"{name}.log", whole)
        self.processes.append(process)
        return process

    def tool(self, *arguments, input=None, check=True):
        """Runs a program to its end and returns its standard output."""
        arguments = [str(argument) for argument in arguments]
        arguments[0] = programs.find(arguments[0])
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=60, input=input or "",
        )
        if check and done.returncode != 0:
            self.fail(f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout
