#!/usr/bin/env python3
"""Runs the ranks of a replica as one MPI world: one MPI rank per GPU, started by `mpirun` on the replica's
first node.

`mpirun` reaches other nodes by a remote shell, which can be any program: here this one (``mpi.py daemon
<program> <host> …``). It passes the order to the launcher of its own node, which forwards it to the launcher
of the other node over their authenticated connection (`lockstep.py`); that one starts Open MPI's daemon, and
nothing else, as its child. So no node needs sshd or an ssh key, and the processes of a node are stopped by
that node's launcher like any engine.

The first MPI rank is also the parent of the serving process (``mpi.py work <program>``): its command comes
from a file, because `trtllm-llmapi-launch` splits its arguments at every space. A SIGTERM goes to that
process alone, since `mpirun` would end all ranks and with them the requests in progress; when it has exited,
`mpirun` and the daemons end.

The launcher and its two helpers communicate by named pipes in ``run/<program>/``. Open MPI 4.1. Standard
library only, Python 3.9 or later.
"""

import fcntl
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
from child import GRACE_SECONDS, Signals, end_group, exit_code, exit_words, say, start, stop
from files import write_private
from lockstep import Rank

# How long `mpirun` and its ranks may take to end after the serving process has exited, and then after they
# were told to.
LEAVE_SECONDS, TOLD_SECONDS = 3.0, 4.0
# Variables that make a process join another MPI world: Slurm's, in which SkyPilot's task runs.
FOREIGN_WORLD = ("SLURM", "PMI_", "PMIX_")
# Name of the launchers' order to start a daemon, and its maximum length.
DAEMON, LONGEST_ORDER = "daemon", 60000


def without_foreign_world(env):
    return {name: value for name, value in env.items() if not name.startswith(FOREIGN_WORLD)}


def rank(spec, hosts, peers, marker, watch):
    """This node's part of the replica.

    @param hosts: addresses of the nodes by rank, as passed to `mpirun`
    """
    common = (spec["rank"], peers, spec["stopSeconds"], marker, watch)
    if spec["rank"] > 0:
        return Host(*common)
    return Leader(*common, spec["name"], hosts, spec["mpi"])


def directory_of(program):
    """Relative to the node's directory, the working directory of the launcher and its children: a path
    without spaces."""
    return os.path.join("run", program)


class Host(Rank):
    """A node other than the first. It starts the planned daemon with the arguments sent by the first node,
    and nothing before that."""

    def begin(self, command, env):
        self.command, self.env = command, env

    def handle_line(self, peer, word, rest):
        if word == DAEMON and self.child is None:
            self.child = start([*self.command, *arguments_in(rest)], self.env)
            say("%s started, which rank 0 asked for" % self.command[0])

    def ended(self):
        return None if self.child is None else self.child.poll()

    def stop(self, seconds):
        return 0 if self.child is None else stop(self.child, seconds)


class Leader(Rank):
    """The first node, with `mpirun` and the serving process."""

    def __init__(self, number, peers, stop_seconds, marker, watch, name, hosts, start):
        super().__init__(number, peers, stop_seconds, marker, watch)
        self.name = name
        self.hosts = hosts
        self.worker_from = start["worker"]
        self.daemon_env = start["daemonEnv"]
        self.env = None
        self.orders = self.worker = None
        # The serving process: its parent's pid, its return code, and when it exited.
        self.worker_pid = self.worker_code = self.worker_gone = None
        # Daemons on this node, which exist if `mpirun` does not recognise the node's address as its own.
        self.daemons = []

    def begin(self, command, env):
        self.env = env
        directory = directory_of(self.name)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        write_private(os.path.join(directory, "worker.json"), json.dumps(command[self.worker_from :]))
        # Many helpers open and close the orders pipe, so it is held open; the end of the other pipe means
        # that its writer has exited.
        self.orders = Lines(pipe_in(directory, "orders"), os.O_RDWR)
        self.worker = Lines(pipe_in(directory, "worker"), os.O_RDONLY)
        self.child = start([*command[: self.worker_from], "python3", "mpi.py", "work", self.name], env)

    def sources(self):
        return [self.orders] if self.worker_gone else [self.orders, self.worker]

    def handle_readable(self, readable):
        if self.orders in readable:
            for order in self.orders.read() or []:
                self.start_daemon(json.loads(order))
        if self.worker in readable:
            self.read_worker()

    def start_daemon(self, order):
        """Has a daemon started on the node requested by `mpirun`."""
        host, arguments = order["host"], json.dumps(order["arguments"])
        node = self.hosts.index(host) if host in self.hosts else None
        peer = next((peer for peer in self.peers if peer.rank == node), None)
        if peer is not None:
            peer.send(DAEMON, arguments)
        elif node == 0:
            self.daemons.append(start(["orted", *arguments_in(arguments)], {**self.env, **self.daemon_env}))
        else:
            say("mpirun wants a daemon on %s, which is no node of this replica" % host)
            self.child.terminate()

    def read_worker(self):
        lines = self.worker.read()
        for word, number in (line.split(" ") for line in lines or []):
            if word == "started":
                self.worker_pid = int(number)
            else:
                self.worker_code = int(number)
        if lines is None:
            self.worker_gone = time.monotonic()

    def is_waiting(self):
        return self.worker_gone is not None

    def ended(self):
        """When the serving process or `mpirun` has ended, the other one gets a moment to end too."""
        code = self.child.poll()
        if code is not None and self.worker_pid and not self.worker_gone:
            # A rank was lost. Dynamo must learn that nothing serves here any more.
            self.signal_worker()
            self.wait_for_worker(GRACE_SECONDS)
        elif code is None and self.worker_gone and time.monotonic() - self.worker_gone >= LEAVE_SECONDS:
            code = self.stop_mpirun()
        return self.outcome(code)

    def outcome(self, code):
        return self.worker_code if code is not None and self.worker_code else code

    def end_with(self, rank, why, in_order):
        """The daemons end with `mpirun` and the serving process; if one of these is the reason, the log names
        it."""
        if not in_order:
            try:
                self.child.wait(TOLD_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        if not self.worker_gone and self.child.poll() is None:
            return super().end_with(rank, why, in_order)
        code = (
            self.stop(self.stop_seconds if in_order else GRACE_SECONDS)
            if self.child.poll() is None
            else self.ended()
        )
        self.tell_others("its program ended with %s" % exit_words(code))
        return exit_code(code)

    def stop(self, seconds):
        if not self.worker_pid or self.worker_gone:
            limit = LEAVE_SECONDS + TOLD_SECONDS if self.worker_gone else seconds
            return exit_code(self.outcome(stop(self.child, limit)))
        self.signal_worker()
        if not self.wait_for_worker(seconds):
            say("the program did not stop within %g s and is killed" % seconds)
        try:
            self.child.wait(LEAVE_SECONDS if self.worker_gone else 0)
        except subprocess.TimeoutExpired:
            self.stop_mpirun()
        return exit_code(self.outcome(self.child.returncode))

    def stop_mpirun(self):
        stop(self.child, TOLD_SECONDS)
        for daemon in self.daemons:
            end_group(daemon)
        return self.child.returncode

    def signal_worker(self):
        try:
            os.kill(self.worker_pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def wait_for_worker(self, seconds):
        """Whether the serving process ends within that time."""
        deadline = time.monotonic() + seconds
        while not self.worker_gone and time.monotonic() < deadline:
            if select.select([self.worker], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.read_worker()
        return self.worker_gone is not None


class Lines:
    """Lines read from a named pipe."""

    def __init__(self, path, mode):
        self.descriptor = os.open(path, mode | os.O_NONBLOCK)
        self.unread = b""

    def fileno(self):
        return self.descriptor

    def read(self):
        """The lines that have arrived; None if all writers have closed."""
        try:
            data = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [line.decode() for line in lines]


def pipe_in(directory, name):
    """Creates a new named pipe for this user only: output of an earlier run's processes is dropped."""
    path = os.path.join(directory, name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    os.mkfifo(path, 0o600)
    return path


def arguments_in(text):
    arguments = json.loads(text)
    if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
        raise ValueError("the arguments of an MPI daemon must be a list of texts")
    return arguments


def daemon(program, host, words):
    """The replacement for `mpirun`'s remote shell: sends the order to the launcher and exits."""
    # A remote shell would get a line to evaluate: PATH and so on, the daemon, its quoted arguments.
    line = shlex.split(" ".join(words))
    at = next((index for index, word in enumerate(line) if os.path.basename(word) == "orted"), None)
    if at is None:
        say("mpi.py: mpirun wants something other than orted on %s: this is written for Open MPI 4.1" % host)
        return 1
    order = (json.dumps({"host": host, "arguments": line[at + 1 :]}) + "\n").encode()
    if len(order) > LONGEST_ORDER:
        say("mpi.py: the arguments of the daemon on %s are too long" % host)
        return 1
    with open(os.open(os.path.join(directory_of(program), "orders"), os.O_WRONLY), "wb") as orders:
        # One helper per node runs at the same time, and writes to a pipe are atomic only if short.
        fcntl.flock(orders, fcntl.LOCK_EX)
        orders.write(order)
        orders.flush()
    return 0


def work(program):
    """The parent of the serving process: reports its start and end to the launcher, and forwards SIGTERM to
    it."""
    directory = directory_of(program)
    with open(os.path.join(directory, "worker.json"), encoding="utf-8") as file:
        command = json.load(file)
    with open(
        os.open(os.path.join(directory, "worker"), os.O_WRONLY | os.O_NONBLOCK), "w", encoding="utf-8"
    ) as report:

        def tell(*words):
            print(*words, file=report, flush=True)

        # `mpirun` kills the process group of its rank. This process and the serving process end when the
        # launcher says so.
        os.setsid()
        signals = Signals()
        tell("started", os.getpid())
        try:
            served = start(command, os.environ)
        except OSError as error:
            say("%s cannot be executed: %s" % (command[0], error.strerror))
            tell("ended", 127 if isinstance(error, FileNotFoundError) else 126)
            return 127
        told = False
        while served.poll() is None:
            select.select([signals], [], [], 5.0)
            signals.clear()
            if signals.told_to_stop and not told:
                told = True
                served.terminate()
        tell("ended", served.returncode)
        return exit_code(served.returncode)


def main():
    verb, program, *rest = sys.argv[1:]
    if verb == "work":
        return work(program)
    host, *words = rest
    return daemon(program, host, words)


if __name__ == "__main__":
    sys.exit(main())
