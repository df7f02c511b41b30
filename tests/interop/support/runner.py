"""Runs stories: each a file, in network, process and mount namespaces of its own,
several at a time.
"""

import argparse
import concurrent.futures
import importlib
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from . import data, programs
from .world import MEASURED, Story

JOBS = 4
STORY_TIMEOUT_S = 240
ALWAYS_REQUIRED = ("unshare", "ip")


class Runner:
    """The stories in the folder `stories` beside `script`, which is run again for
    each of them with `--inside`."""

    def __init__(self, script, description):
        self.script = script
        self.description = description
        self.folder = Path(script).resolve().parent / "stories"

    def names(self):
        return sorted(path.stem for path in self.folder.glob("[a-z]*.py"))

    def cases(self, name):
        """The test cases of a story's file."""
        module = importlib.import_module(f"stories.{name}")
        found = [value for value in vars(module).values()
                 if isinstance(value, type) and issubclass(value, Story)
                 and value.__module__ == module.__name__]
        assert found, f"{self.folder}/{name}.py has no story"
        return found

    def inside(self, name):
        """Runs one story; this process is the first of its namespaces."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        loader = unittest.TestLoader()
        suite = unittest.TestSuite(map(loader.loadTestsFromTestCase, self.cases(name)))
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
        # A skipped test would pass silently.
        sound = result.wasSuccessful() and result.testsRun > 0 and not result.skipped
        return 0 if sound else 1

    def run_story(self, name):
        """Runs one story in namespaces; returns (passed, output, seconds)."""
        start = time.monotonic()
        command = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child"]
        if os.geteuid() != 0:
            command.append("--map-root-user")
        command += [sys.executable, "-B", "-u", self.script, "--inside", name]
        environment = {**os.environ, "PATH": programs.PATH}
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=STORY_TIMEOUT_S,
                                  env=environment)
            passed, output = done.returncode == 0, done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as late:
            output = (late.stdout or b"").decode(errors="replace")
            passed, output = False, f"{output}\nnot done within {STORY_TIMEOUT_S} s"
        return passed, output, time.monotonic() - start

    def main(self):
        parser = argparse.ArgumentParser(description=self.description.split("\n")[0])
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--list", action="store_true", help="print the stories' names")
        parser.add_argument("--packages", action="store_true",
                            help="print missing Debian packages")
        parser.add_argument("--jobs", type=int, default=JOBS, help="stories at a time")
        parser.add_argument("--inside", metavar="NAME", help=argparse.SUPPRESS)
        arguments = parser.parse_args()
        names = self.names()
        if arguments.inside:
            return self.inside(arguments.inside)
        unknown = [name for name in arguments.names if name not in names]
        if unknown:
            parser.error(f"no story {', '.join(unknown)}; there are: {', '.join(names)}")
        chosen = arguments.names or names
        if arguments.list:
            print("\n".join(names))
            return 0
        cases = [case for name in chosen for case in self.cases(name)]
        packages = {package for case in cases for package in case.DATA}
        required = {program for case in cases for program in case.REQUIRES}
        required |= {"npm"} if packages else set()
        if arguments.packages:
            print("\n".join(programs.missing_packages({*ALWAYS_REQUIRED, *required})))
            return 0
        try:
            programs.demand(sorted({*ALWAYS_REQUIRED, *required}))
            programs.windrose()
            for package in sorted(packages):
                data.fetch(package)
        except programs.Missing as missing:
            print(missing, file=sys.stderr)
            return 1
        return self.run_all(chosen, arguments.jobs)

    def run_all(self, chosen, jobs):
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = {pool.submit(self.run_story, name): name for name in chosen}
            for done in concurrent.futures.as_completed(running):
                passed, output, seconds = done.result()
                failed += not passed
                show(running[done], passed, output, seconds)
        print(f"{len(chosen) - failed} passed, {failed} failed")
        return 1 if failed else 0


def show(name, passed, output, seconds):
    print(f"{'ok    ' if passed else 'FAILED'} {name} ({seconds:.1f} s)")
    lines = output.splitlines()
    if passed:
        lines = [line[line.index(MEASURED):] for line in lines if MEASURED in line]
    for line in lines:
        print(line if passed else f"    | {line}")
    sys.stdout.flush()
