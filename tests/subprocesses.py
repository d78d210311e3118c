"""Run Python code in a fresh interpreter, where a crash or a hang is a failed test."""

import os
import subprocess
import sys
from pathlib import Path

#: Seconds after which a process hangs: none of them has more than seconds of work.
PATIENCE = 120


def run(code, *arguments, **environment):
    """Run `code` with the tests' modules at hand; returns what it printed."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        # -P: not the source tree before the installed package, wherever we are.
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
