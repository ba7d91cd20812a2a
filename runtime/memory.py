"""What the kernel has killed for want of memory: a program that just ends tells nobody of it.

Counted by its control group, which is a container's (a Kubernetes pod's) or a Slurm job's. Files:
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files (`memory.events`, `memory.max`) and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html#oom-control. Standard library only.
"""

import os
import re

ROOT = "/sys/fs/cgroup"
# Of version 1: more than that is no limit.
LARGEST = 1 << 60


def group_of(listing):
    """A process's control group: where such are mounted, its path there, and the files with its count and its
    limit; None if it has none. `listing`: of /proc/PID/cgroup."""
    for line in listing.splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return os.path.join(ROOT, "memory"), path, "memory.oom_control", "memory.limit_in_bytes"
    for line in listing.splitlines():
        if line.startswith("0::"):
            return ROOT, line[3:], "memory.events", "memory.max"
    return None


def read(root, path, name):
    """A file of the group, which in a container may be mounted as the root. Empty if there is none."""
    for directory in (os.path.join(root, path.lstrip("/")), root):
        try:
            with open(os.path.join(directory, name), encoding="ascii") as file:
                return file.read()
        except OSError:
            pass
    return ""


class Kills:
    """Counts from its creation on. Never fails: where nothing counts, it has nothing to tell."""

    def __init__(self):
        self.before = self.counted()

    def group(self):
        try:
            with open("/proc/self/cgroup", encoding="utf-8") as file:
                return group_of(file.read())
        except (OSError, ValueError):
            return None

    def counted(self):
        group = self.group()
        text = "" if group is None else read(*group[:3])
        found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        return int(found.group(1)) if found else 0

    def words(self):
        """What there is to tell; None if there is nothing."""
        killed = self.counted() - self.before
        if killed <= 0:
            return None
        root, path, _, limit_name = self.group()
        limit = read(root, path, limit_name).strip()
        known = limit.isdigit() and int(limit) < LARGEST
        return "the kernel killed %d process%s here for want of memory (oom_kill%s)" % (
            killed,
            "" if killed == 1 else "es",
            "; the limit is %.1f GiB" % (int(limit) / 2**30) if known else "",
        )
