#!/usr/bin/env python3
"""The fault bench: back ends that fail in every way, and what Windrose makes of it.

    tests/faults/run.py              all stories
    tests/faults/run.py NAME...      some
    tests/faults/run.py --list       their names
    tests/faults/run.py --packages   Debian packages they need that are missing

For each fault the verdict, the kind of failure and the time it took are asserted.
Stories run as those of tests/interop do, in namespaces of their own; packets are
dropped by nftables rules. WINDROSE_BINARY names the binary; default:
target/debug/windrose.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interop")]

from support.runner import Runner  # noqa: E402 (the path above comes first)

if __name__ == "__main__":
    sys.exit(Runner(__file__, __doc__).main())
