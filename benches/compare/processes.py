"""Programs: installing, starting on one processor, what they use, stopping."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

POLICY = "/usr/sbin/policy-rc.d"


class Failed(Exception):
    """The benchmark cannot go on, for the reason given."""


#------------ Packages --------------------------------------------------------

def missing(packages, program, installed=None):
    """Those of a server's packages that are still needed: its first one has the program,
    the others its modules. A program from elsewhere is taken to have them."""
    if program is None:
        return list(packages)
    installed = installed or is_installed
    if not installed(packages[0]):
        return []
    return [package for package in packages[1:] if not installed(package)]


def is_installed(package):
    """Whether Debian's package manager has it."""
    if shutil.which("dpkg-query") is None:
        return False
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                          capture_output=True, text=True)
    return done.returncode == 0 and done.stdout == "installed"


def install(packages):
    """Installs Debian packages, without starting their daemons; false: that is up to you."""
    if os.geteuid() != 0 or not os.path.exists("/usr/bin/apt-get"):
        return False
    ours = not os.path.exists(POLICY)
    if ours:
        with open(POLICY, "w") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(POLICY, 0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    try:
        for arguments in (["update"],
                          ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(apt + arguments, env=environment, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                return False
    finally:
        if ours:
            os.remove(POLICY)
    return True


#------------ Processes -------------------------------------------------------

class Running:
    """A server on its processor, the leader of a session: what it starts is found by that."""

    def __init__(self, server, cpu):
        self.server, self.log_path = server, server.path("log")
        command = ["taskset", "-c", str(cpu), *server.command()]
        self.begun = time.monotonic()
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=server.folder,
                                            start_new_session=True)
        self.pid = self.process.pid

    def family(self):
        """Its processes and all they have started."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as file:
                        words = file.read().rpartition(") ")[2].split()
                except OSError:
                    continue
                parents[int(entry)] = (int(words[1]), int(words[3]))
        found = {self.pid}
        while True:
            more = {pid for pid, (parent, session) in parents.items()
                    if parent in found or session == self.pid} - found
            if not more:
                return found
            found |= more

    def cpu_so_far_s(self):
        """Seconds on a processor since it began, with threads and children that have ended:
        these are found in hundredths, rounded down for each process."""
        ticks = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    words = file.read().rpartition(") ")[2].split()
            except OSError:
                continue
            # utime, stime, cutime, cstime
            ticks += sum(map(int, words[11:15]))
        return max(ticks / os.sysconf("SC_CLK_TCK"), self.cpu_s())

    def cpu_s(self):
        """Seconds on a processor of all threads that are alive, exactly."""
        total = 0
        for pid in self.family():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        total += int(file.read().split()[0])
            except OSError:
                continue
        return total / 1e9

    def memory_mib(self, file, field):
        """The sum of a field of /proc/PID/FILE."""
        total = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/{file}") as text:
                    total += sum(int(line.split()[1]) for line in text if line.startswith(field))
            except OSError:
                continue
        return total / 1024

    def log_end(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()[-2000:]

    def stop(self):
        family = self.family()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in family:
                try:
                    os.kill(pid, sign)
                except ProcessLookupError:
                    continue
            end = time.monotonic() + 10
            while time.monotonic() < end:
                self.process.poll()
                family = {pid for pid in family if os.path.exists(f"/proc/{pid}")}
                if not family:
                    return
                time.sleep(0.01)
        raise Failed(f"{self.server.name} does not stop")


#------------ What is probed ---------------------------------------------------

class Healthy:
    """Accepts connections, so that a probe of the port passes."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.listener.accept()[0].close()
            except OSError:
                return


#------------ The machine -----------------------------------------------------

def about(command):
    """Lines that say where, when and how; nothing else of the machine."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                            text=True).stdout.strip()
    system = os.uname()
    return [
        f"command: {command}",
        f"date:    {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
        f"host:    {short_host()}, {os.cpu_count()} processors, {system.sysname} {system.release}",
        f"cpu:     {models[0] if models else 'unknown'}",
        f"commit:  {commit or 'unknown'}",
    ]


def short_host():
    return os.uname().nodename.split(".")[0]
