"""Let Ctrl-C come at a chosen line of sparsenet's Python code."""

import sys
from pathlib import Path

import sparsenet

PACKAGE = str(Path(sparsenet.__file__).parent)


class Interrupted:
    """While entered, raises KeyboardInterrupt at the n-th line that is run.

    Attributes
    ----------
    n_lines : int
        Lines that were run.
    where : str or None
        Where the interruption came; None if there were fewer lines.
    """

    def __init__(self, n):
        self.n, self.n_lines, self.where = n, 0, None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._enter_function)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def _enter_function(self, frame, event, _):
        is_ours = frame.f_code.co_filename.startswith(PACKAGE)
        return self._run_line if is_ours and self.where is None else None

    def _run_line(self, frame, event, _):
        if event == "line" and self.where is None:
            self.n_lines += 1
            if self.n_lines > self.n:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._run_line
