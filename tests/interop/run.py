#!/usr/bin/env python3
"""Runs the stories: Windrose among programs that others wrote.

    tests/interop/run.py              all stories
    tests/interop/run.py NAME...      some
    tests/interop/run.py --list       their names
    tests/interop/run.py --packages   Debian packages they need that are missing

Each story is a file in stories/ and runs in network, process and mount
namespaces of its own, several at a time. It needs root, or a kernel that lets users make
namespaces. WINDROSE_BINARY names the binary; default: target/debug/windrose.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.runner import Runner  # noqa: E402 (the path above comes first)

if __name__ == "__main__":
    sys.exit(Runner(__file__, __doc__).main())
