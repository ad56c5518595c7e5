"""Run a program that does not outlive the process that started it: `python lifeline.py PARENT_PID PROGRAM ARG...`

Linux notifies a process of its parent's death if the process has asked for it, so a child that runs behind this file gets SIGTERM even
when its parent was killed with SIGKILL and could clean up nothing. Elsewhere it only runs the program. A script of its own
rather than a `preexec_fn`, because running Python between fork and exec is not safe in a process that has threads (gRPC's).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(program[0], program)  # noqa: S606  # the very purpose; no shell takes part
