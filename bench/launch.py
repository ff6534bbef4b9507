"""Runs one command and writes what it used to a file: wall and CPU seconds, peak memory, exit code.

It is a process of its own, with almost no imports: the peak memory of a process starts with that of the process
which started it. Usage: launch.py RESULT WATCH COMMAND...; with WATCH=1 the memory of all processes together is
sampled too, which takes some CPU.
"""

import os
import sys
import time


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - without pathlib, for its memory
            children = [int(child) for child in file.read().split()]
    except OSError:
        children = []
    return [pid, *(inner for child in children for inner in tree(child))]


def resident(pid: int) -> int:
    """Return the memory of a process in KiB; 0 where it is not known."""
    try:
        with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
            return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def main() -> None:
    result, watch, *command = sys.argv[1:]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    together = 0
    while watch == "1" and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        together = max(together, sum(map(resident, tree(pid))))
        time.sleep(0.01)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    with open(result, "w") as file:  # noqa: PTH123
        code = os.waitstatus_to_exitcode(status)
        file.write(f"{wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {together} {code}")


main()
