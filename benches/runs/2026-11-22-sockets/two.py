#!/usr/bin/env python3
"""The trials that benches/load/run cannot do: a connected socket, two workers.

    two.py connect|steer1|steer2 ROUNDS SECONDS TRIAL-BINARY LOADER-BINARY

`connect`: all queries from one socket. `steer1`: two workers, a loader on processor 1.
`steer2`: a loader on each processor. Prints medians (lowest-highest), and a row per round.
"""
import glob
import json
import os
import statistics
import subprocess
import sys
import time

MODE, ROUNDS, SECONDS, TRIAL, LOADER = sys.argv[1:6]


def on_processor(pid):
    """Nanoseconds of each UDP thread on a processor."""
    out = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        if open(task + "/comm").read().startswith("udp-"):
            out[task] = int(open(task + "/schedstat").read().split()[0])
    return out


def waits(pid):
    lines = (line for path in glob.glob(f"/proc/{pid}/task/*/status") for line in open(path))
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))


def once(port, env, workers, processors, loaders, extra, ready):
    address = f"127.0.0.1:{port}"
    command = ["taskset", "-c", processors, TRIAL, "--listen", address, *workers]
    server = subprocess.Popen(command, env={**os.environ, **env})
    try:
        ask = [LOADER, "--server", address, "--pattern", "w{}.gslb.example.com"]
        time.sleep(0.25)
        if ready:  # a connected socket would connect to the one that only waits
            subprocess.run([*ask, "--wait", "5"], check=True, stdout=subprocess.DEVNULL)
        before, waits_before = on_processor(server.pid), waits(server.pid)
        running = [
            subprocess.Popen(
                [*ask, "--cpu", str(cpu), "--warmup", "0", "--seconds", SECONDS, "--json",
                 "--seed", str(7 + cpu), *extra], stdout=subprocess.PIPE, text=True)
            for cpu in loaders]
        told = [json.loads(process.communicate()[0]) for process in running]
        after = on_processor(server.pid)
        took = [after[task] - before[task] for task in after]
        replies = sum(one["replies"] for one in told)
        return {
            "ns": sum(took) / replies,
            "qps": sum(one["rate"] for one in told),
            "p99": max(one["p99_us"] for one in told),
            "loader_ns": sum(o["loader_ns_per_query"] * o["replies"] for o in told) / replies,
            "share0": 100 * min(took) / sum(took),
            "lost": sum(one["lost"] for one in told),
            "switches_per_kq": 1000 * (waits(server.pid) - waits_before) / replies,
        }
    finally:
        server.kill()
        server.wait()


variants = {}
if MODE == "connect":
    for name, env in [("unconnected", {}), ("connected", {"TRIAL_CONNECT": "1"})]:
        variants[name] = (env, [], "0", [1], ["--sockets", "1"], False)
else:
    loaders = [1] if MODE == "steer1" else [0, 1]
    variants["1 worker"] = ({}, [], "0", loaders, [], True)
    for name, env in [("hash", {}), ("incoming-cpu", {"TRIAL_PREFER_CPU": "1"}),
                      ("cbpf", {"TRIAL_CBPF": "1"})]:
        variants[name] = (env, ["--workers", "2", "--pin"], "0,1", loaders, [], True)
rows = {name: [] for name in variants}
port = 5310
for number in range(int(ROUNDS)):
    for name, variant in variants.items():
        port += 1
        rows[name].append(once(port, *variant))
        print(json.dumps({"mode": MODE, "round": number + 1, "variant": name, **rows[name][-1]}))
first = next(iter(variants))
for name, own in rows.items():
    ratios = [one["ns"] / other["ns"] for one, other in zip(own, rows[first])]
    texts = [f"{MODE} {name}: ratio={statistics.median(ratios):.3f}"
             f"({min(ratios):.3f}-{max(ratios):.3f})"]
    for key in own[0]:
        values = [one[key] for one in own]
        texts.append(f"{key}={statistics.median(values):.1f}({min(values):.1f}-{max(values):.1f})")
    print(" ".join(texts))
