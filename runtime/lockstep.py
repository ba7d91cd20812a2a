"""Keeps the processes of one replica in step, one per node: they start together, and when one ends, all end.

An engine that spans several nodes cannot go on without one of its ranks, nor accept a new one: most hang in a
collective operation. So the launcher of each rank stays the parent of its process, and the launchers are
connected: rank 0 listens, the others connect to it, and none starts its process before all are connected.
When a process ends or a connection breaks (a node is gone), every launcher stops its process and exits; the
supervisor of each node starts the launcher again, and so the whole replica. Other replicas are not affected.

When a rank is stopped, rank 0, which receives the requests, stops first: its requests finish while all ranks
still work. Once a rank has ended, no request can finish, and the others get only a short grace period.

Launchers exchange authenticated lines of text (`peer.py`): ``hello <replica> <rank> …`` once, ``start`` in
reply, then ``leave`` (a rank other than 0 was stopped) or ``end <why>``; and those that start an MPI world
(`mpi.py`). Standard library only, Python 3.9 or later, like `launch.py`.
"""

import select
import socket
import time

from child import (
    EXIT_WITH_REPLICA,
    GRACE_SECONDS,
    HANGS,
    Signals,
    end_group,
    end_leftovers,
    exit_code,
    exit_words,
    say,
    start,
    stop,
    tell,
)
from memory import Kills
from peer import Peer

CONNECT_SECONDS = 2.0
REPORT_EVERY_SECONDS = 10.0
# How long a connection may take to authenticate, and how many may be unauthenticated at once.
INTRODUCTION_SECONDS, MOST_STRANGERS = 10.0, 64


class TimeLimit:
    """A time limit that logs from time to time what it is waiting for."""

    def __init__(self, seconds):
        self.limit = seconds
        self.started = self.reported = time.monotonic()

    def remaining(self):
        return max(0.0, self.limit - (time.monotonic() - self.started))

    def report(self, what):
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY_SECONDS:
            self.reported = now
            say("still waiting for %s (%d of %g s)" % (what, now - self.started, self.limit))

    def give_up(self, what):
        say("gave up waiting for %s after %d s" % (what, time.monotonic() - self.started))


def wait_for_ranks(replica, place):
    """On rank 0: waits until all other ranks have connected. Returns them, or None on a timeout."""
    time_limit = TimeLimit(place["timeoutSeconds"])
    listener = None
    while listener is None:
        try:
            listener = socket.create_server((place["host"], place["port"]))
        except OSError as error:
            what = "port %d of %s, where the other ranks of %s connect (%s)" % (
                place["port"],
                place["host"],
                replica,
                error.strerror,
            )
            if time_limit.remaining() == 0:
                time_limit.give_up(what)
                return None
            time_limit.report(what)
            time.sleep(min(0.5, time_limit.remaining()))
    others = range(1, place["ranks"])
    unknown, peers = [], {}
    # Connections after the replica's start are refused, and retried.
    with listener:
        while len(peers) < len(others):
            what = "rank %s of %s" % (", ".join(str(rank) for rank in others if rank not in peers), replica)
            if time_limit.remaining() == 0:
                time_limit.give_up(what)
                return None
            time_limit.report(what)
            readable, _, _ = select.select(
                [listener, *unknown, *peers.values()], [], [], min(1.0, time_limit.remaining())
            )
            for ready in readable:
                if ready is listener:
                    unknown.append(Peer(listener.accept()[0], calls=False))
                    unknown[-1].challenge()
                else:
                    handle_early(ready, replica, place["secret"], others, unknown, peers)
            close_late(unknown)
    for stranger in unknown:
        stranger.close()
    for peer in peers.values():
        peer.send("start")
    return list(peers.values())


def handle_early(peer, replica, secret, others, unknown, peers):
    """Handles the lines of a connection before the start: its introduction, or its end."""
    lines = peer.lines()
    if lines == []:
        return  # not a complete line yet
    if peer in unknown:
        unknown.remove(peer)
        if lines is not None and len(lines) == 1 and peer.verify(secret, replica, others, lines[0]):
            # A rank that connects again has lost its former connection.
            former = peers.get(peer.rank)
            peers[peer.rank] = peer
            if former is not None:
                former.close()
            return
        say("refused a connection that is no rank of %s" % replica)
    elif peers.get(peer.rank) is peer:
        del peers[peer.rank]
    peer.close()


def close_late(unknown):
    """Closes connections that do not authenticate in time, to free their places."""
    late = [peer for peer in unknown if time.monotonic() - peer.since >= INTRODUCTION_SECONDS]
    for peer in {*late, *unknown[:-MOST_STRANGERS]}:
        unknown.remove(peer)
        peer.close()


def report(replica, rank, place):
    """On another rank: connects to rank 0 and waits for its start. Returns the connection, or None on a
    timeout."""
    time_limit = TimeLimit(place["timeoutSeconds"])
    what = "rank 0 of %s at %s:%d" % (replica, place["host"], place["port"])
    while time_limit.remaining() > 0:
        try:
            leader = Peer(
                socket.create_connection((place["host"], place["port"]), CONNECT_SECONDS), calls=True
            )
        except OSError:
            time_limit.report(what)
            time.sleep(min(0.5, time_limit.remaining()))
            continue
        while time_limit.remaining() > 0:
            time_limit.report("all ranks of %s" % replica)
            if select.select([leader], [], [], min(1.0, time_limit.remaining()))[0]:
                lines = leader.lines()
                if lines == []:
                    continue
                if lines is not None and len(lines) == 1 and leader.key is None:
                    leader.authenticate(place["secret"], replica, rank, lines[0])
                    continue
                if lines == ["start"]:
                    return [leader]
                break
        leader.close()
        time.sleep(min(0.2, time_limit.remaining()))
    time_limit.give_up(what)
    return None


def join(replica, rank, place):
    """Waits for the other ranks. Returns the connections to them, or None on a timeout."""
    say(
        "waiting for the other ranks of %s: %d in all, at most %g s"
        % (replica, place["ranks"], place["timeoutSeconds"])
    )
    peers = wait_for_ranks(replica, place) if rank == 0 else report(replica, rank, place)
    if peers is not None:
        say("all %d ranks of %s are there; starting" % (place["ranks"], replica))
    return peers


class Rank:
    """This rank's process in the replica. `mpi.py` has subclasses that start something else."""

    def __init__(self, number, peers, stop_seconds, marker, watch=None):
        self.number = number
        self.peers = peers
        self.stop_seconds = stop_seconds
        self.marker = marker
        self.watches = [] if watch is None else [watch]
        self.child = None

    def run(self, command, env):
        """Runs the process until it ends; returns the launcher's exit code.

        @raises OSError if it cannot be started.
        """
        signals = Signals()
        kills = Kills()
        self.begin(command, env)
        for watch in self.watches:
            watch.begin()
        try:
            return self.watch(signals)
        finally:
            tell(kills)
            if self.child is not None:
                end_group(self.child)
            end_leftovers(self.marker)

    def begin(self, command, env):
        self.child = start(command, env)

    def sources(self):
        """Other sources that `handle_readable` reads while the process runs."""
        return []

    def handle_readable(self, readable):
        pass

    def is_waiting(self):
        """Whether an end is expected that must be polled for."""
        return False

    def ended(self):
        """The process's return code; None while it runs."""
        return self.child.poll()

    def stop(self, seconds):
        return stop(self.child, seconds)

    def handle_line(self, peer, word, rest):
        """Handles a line that is not about the end."""

    def watch(self, signals):
        leaving_since = None
        while True:
            wait = 5.0 if leaving_since is None and not self.is_waiting() else 0.2
            readable, _, _ = select.select(
                [signals, *self.watches, *self.peers, *self.sources()], [], [], wait
            )
            signals.clear()
            self.handle_readable(readable)
            code = self.ended()
            if code is not None:
                self.tell_others("its program ended with %s" % exit_words(code))
                return exit_code(code)
            end = self.end_of_another(readable)
            if leaving_since is not None:
                if end is not None or time.monotonic() - leaving_since >= self.stop_seconds:
                    return self.stop(GRACE_SECONDS)
            elif end is not None:
                return self.end_with(*end)
            elif any(one in readable for one in self.watches) and not signals.told_to_stop:
                say(HANGS)
                self.tell_others("it hangs")
                self.stop(GRACE_SECONDS)
                return EXIT_WITH_REPLICA
            elif signals.told_to_stop and self.number == 0:
                code = self.stop(self.stop_seconds)
                self.tell_others("it was told to stop")
                return code
            elif signals.told_to_stop:
                leaving_since = time.monotonic()
                self.peers[0].send("leave")

    def end_of_another(self, readable):
        """(rank, reason, whether graceful) of another rank that has ended or is about to; None otherwise."""
        for peer in self.peers:
            if peer in readable:
                lines = peer.lines()
                if lines is None:
                    return peer.rank, "its connection is lost", False
                for line in lines:
                    word, _, rest = line.partition(" ")
                    if word == "leave":
                        return peer.rank, "it was told to stop", True
                    if word == "end":
                        return peer.rank, rest, False
                    self.handle_line(peer, word, rest)
        return None

    def end_with(self, rank, why, in_order):
        """Ends because of another rank. One that is only about to end still works until rank 0 is done."""
        say(
            "rank %d of this replica has ended (%s): this one stops too, and the replica starts again"
            % (rank, why)
        )
        passed_on = "rank %d: %s" % (rank, why)
        if not in_order:
            self.tell_others(passed_on)
        self.stop(self.stop_seconds if in_order else GRACE_SECONDS)
        self.tell_others(passed_on)
        return EXIT_WITH_REPLICA

    def tell_others(self, why):
        for peer in self.peers:
            peer.send("end", why)
