"""eater.py PID: takes memory in the control group of a process until the kernel has ended that process.

The kernel ends that one before all others (`oom_score_adj`). Control groups of version 1, as the lab's
containers have them. For tests, as root.
"""

import sys

STEP = 32 << 20
# More than any limit of a test.
MOST_STEPS = 1024


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def start_of(pid):
    """Of another process with the same id it differs; None if there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def main(pid):
    start = start_of(pid)
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as file:
        lines = [line.strip().split(":", 2) for line in file]
    group = next(path for _, controllers, path in lines if "memory" in controllers.split(","))
    write("/proc/%d/oom_score_adj" % pid, "1000")
    write("/sys/fs/cgroup/memory%s/cgroup.procs" % group, "0")
    taken = []
    while start_of(pid) == start and len(taken) < MOST_STEPS:
        # Written to, or it takes nothing.
        taken.append(bytearray(b"x") * STEP)
    return 0 if start_of(pid) != start else 1


sys.exit(main(int(sys.argv[1])))
