"""Nodes made out of one machine, on which a rendered recipe's own `setup` and `run` are executed, as SkyPilot
does.

A recipe of one node gets the machine as it is. For several, each node has its own network, processes, host
name, boot id, `/dev/shm` and `/dev` with its GPUs alone, so that NCCL, UCX and torch take them for hosts of
a network. That needs root, and `ip`.
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

# The nodes' own files, in the bundle.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime"))
import processes as running

NETWORK = "10.213.78"
BRIDGE = "dsky-gpu"
STOP_SECONDS = 120

# Becomes a node: $1 its directory, $2 its name, $3 the GPUs it has; then the command.
BECOME = r"""
directory="$1"; name="$2"; gpus=" $3 "; shift 3
hostname "$name"
mount --make-rprivate /
mount --bind "$directory/hosts" /etc/hosts
mount --bind "$directory/boot_id" /proc/sys/kernel/random/boot_id
mkdir -p "$directory/dev"
mount -t tmpfs -o mode=755 none "$directory/dev"
for path in /dev/*; do
  entry="${path#/dev/}"
  case "$entry" in
    shm) mkdir "$directory/dev/shm"; mount -t tmpfs none "$directory/dev/shm"; continue ;;
    nvidia[0-9]*) case "$gpus" in *" ${entry#nvidia} "*) ;; *) continue ;; esac ;;
  esac
  if [ -L "$path" ]; then cp -P "$path" "$directory/dev/$entry"
  elif [ -d "$path" ]; then mkdir "$directory/dev/$entry"; mount --rbind "$path" "$directory/dev/$entry"
  else : > "$directory/dev/$entry"; mount --bind "$path" "$directory/dev/$entry"
  fi
done
mount --rbind "$directory/dev" /dev
exec "$@"
"""


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def processes():
    """(pid, parent, command line) of every process that can be read."""
    found = []
    for pid in running.pids():
        stat = running.read(pid, "stat").decode(errors="replace")
        command = running.read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        if stat:
            found.append((pid, int(stat.rpartition(")")[2].split()[1]), command))
    return found


def above(pid):
    """Process ids of a process and those that it descends from."""
    parents = {one: parent for one, parent, _ in processes()}
    found = set()
    while pid in parents and pid not in found:
        found.add(pid)
        pid = parents[pid]
    return found


def below(root):
    """Process ids of the descendants of a process."""
    tree = processes()
    found = {root}
    while True:
        more = {pid for pid, parent, _ in tree if parent in found} - found
        if not more:
            return found - {root}
        found |= more


class Node:
    def __init__(self, rank, directory, address, gpus, is_apart):
        self.rank, self.directory, self.address, self.gpus = rank, directory, address, gpus
        self.is_apart = is_apart
        self.name = "gpu-node-%d" % rank
        self.space = "dsky-gpu-%d-%d" % (os.getpid(), rank)
        self.log = os.path.join(directory, "log")
        self.cable = "dsky%d" % rank
        self.env = None
        self.running = None

    def make(self, runtime):
        os.makedirs(os.path.join(self.directory, ".dynamo-sky"), exist_ok=True)
        target = os.path.join(self.directory, ".dynamo-sky", "runtime")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(runtime, target)
        if not self.is_apart:
            return
        files = {"hosts": "127.0.0.1 localhost\n127.0.1.1 %s\n" % self.name, "boot_id": "%s\n" % uuid.uuid4()}
        for name, content in files.items():
            with open(os.path.join(self.directory, name), "w") as file:
                file.write(content)
        ip("netns", "add", self.space)
        ip("-n", self.space, "link", "set", "lo", "up")
        near, far = self.cable, "eth0"
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.space)
        ip("link", "set", near, "master", BRIDGE, "up")
        ip("-n", self.space, "address", "add", self.address + "/24", "dev", far)
        ip("-n", self.space, "link", "set", far, "up")

    def command(self, script):
        plain = ["bash", "-c", script]
        if not self.is_apart:
            return plain
        apart = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        gpus = " ".join(map(str, self.gpus))
        become = ["sh", "-ec", BECOME, "sh", self.directory, self.name, gpus, *plain]
        return ["ip", "netns", "exec", self.space, "unshare", *apart, *become]

    def start(self, script, env):
        self.env = {**env, "HOME": self.directory}
        with open(self.log, "ab") as log:
            self.running = subprocess.Popen(
                self.command(script),
                env=self.env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.running

    def inside(self, command):
        """The command, among the node's own processes."""
        if not self.is_apart:
            return command
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid"]
        return ["nsenter", "--target", str(self.supervisor()), *spaces, "--", *command]

    def tail(self, size=4000):
        with open(self.log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")

    def supervisor(self):
        """Process id of what the node's task has become."""
        if not self.is_apart:
            return self.running.pid
        found = sorted(filter(self.is_supervisor, below(self.running.pid)))
        return found[0] if found else self.running.pid

    @staticmethod
    def is_supervisor(pid):
        return any(one == pid and "supervisor" in command for one, _, command in processes())

    def program(self, name):
        """Process id of the program itself, which the launcher of that name has started."""
        unit = re.compile(r"launch\.py\b.*/%s\.json" % re.escape(name))
        own = below(self.running.pid)
        launchers = {pid for pid, _, command in processes() if pid in own and unit.search(command)}
        children = [pid for pid, parent, _ in processes() if parent in launchers and pid not in launchers]
        if not children:
            raise SystemExit("no process of %s on node %d" % (name, self.rank))
        return min(children)


class Nodes:
    """The nodes of a recipe; a context manager that leaves nothing running."""

    def __init__(self, recipe, directory, runtime, path, is_apart=False):
        self.recipe = recipe
        count = int(recipe.get("num_nodes") or 1)
        gpus = gpus_of(recipe)
        present = len(glob.glob("/dev/nvidia[0-9]*"))
        self.is_apart = is_apart or count > 1
        self.path = path
        address = (lambda rank: "%s.%d" % (NETWORK, rank + 1)) if self.is_apart else (lambda _: "127.0.0.1")
        self.nodes = [
            Node(
                rank,
                os.path.join(directory, "node%d" % rank),
                address(rank),
                # Nodes share what there is where the machine has fewer than they have together.
                [number % (present or count * gpus) for number in range(rank * gpus, (rank + 1) * gpus)],
                self.is_apart,
            )
            for rank in range(count)
        ]
        self.runtime = runtime

    def __enter__(self):
        if self.is_apart:
            ip("link", "add", BRIDGE, "type", "bridge")
            ip("address", "add", NETWORK + ".254/24", "dev", BRIDGE)
            ip("link", "set", BRIDGE, "up")
        for node in self.nodes:
            node.make(self.runtime)
        return self

    def __exit__(self, *_):
        self.stop()
        if self.is_apart:
            for node in self.nodes:
                subprocess.run(["ip", "netns", "del", node.space], check=False)
            subprocess.run(["ip", "link", "del", BRIDGE], check=False)

    def environment(self, node, secrets):
        addresses = "\n".join(one.address for one in self.nodes)
        return {
            **os.environ,
            "PATH": self.path + os.pathsep + os.environ["PATH"],
            **{name: str(value) for name, value in (self.recipe.get("envs") or {}).items()},
            **secrets,
            "SKYPILOT_NODE_RANK": str(node.rank),
            "SKYPILOT_SETUP_NODE_RANK": str(node.rank),
            "SKYPILOT_NODE_IPS": addresses,
            "SKYPILOT_CLUSTER_INFO": '{"cluster_name": "gpu-nodes"}',
        }

    def set_up(self, secrets):
        started = [node.start(self.recipe["setup"], self.environment(node, secrets)) for node in self.nodes]
        if any(one.wait() != 0 for one in started):
            raise SystemExit("set-up failed:\n" + self.logs())

    def start(self, secrets):
        for node in self.nodes:
            node.start(self.recipe["run"], self.environment(node, secrets))

    def stop(self):
        """@returns: seconds it took, and the processes that were left."""
        began = time.monotonic()
        for node in self.nodes:
            if node.running is not None and node.running.poll() is None:
                os.kill(node.supervisor(), signal.SIGTERM)
        for node in self.nodes:
            try:
                if node.running is not None:
                    node.running.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        took = time.monotonic() - began
        ours = above(os.getpid())
        named = [one for one in processes() if any(node.directory + "/" in one[2] for node in self.nodes)]
        left = [one for one in named if one[0] not in ours]
        for pid, _, _ in left:
            os.kill(pid, signal.SIGKILL)
        return {"stopSeconds": round(took, 1), "left": [command[:200] for _, _, command in left]}

    def logs(self):
        return "\n".join("node %d: %s" % (node.rank, node.tail()) for node in self.nodes)


def gpus_of(recipe):
    wanted = str((recipe.get("resources") or {}).get("accelerators") or "")
    return int(wanted.rpartition(":")[2] or 1) if ":" in wanted else int(bool(wanted))
