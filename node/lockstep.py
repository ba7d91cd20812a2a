"""Holds the processes of one replica together, one on each of its nodes: they start together, and when one ends, all end.

An engine that is spread over several nodes cannot go on without one of its ranks, nor take a new one in: most hang in a
collective operation. So the launcher of each rank stays the parent of its process, and the launchers are connected:
rank 0 listens, the others connect to it, and none starts its process before all are there. When a process ends or a
connection breaks (a node is gone), every launcher stops its process and ends; the supervisor of each node starts the
launcher again, and so the replica as a whole. Other replicas notice nothing.

A rank that is told to stop lets rank 0 go first, which is where requests come in: they finish while all ranks still work.

What goes over a connection are lines of text: ``hello <replica> <rank>`` once, ``start`` in answer, then ``leave`` (a rank
other than 0 was told to stop) or ``end <why>``. Standard library only, Python 3.9 or later, like `launch.py`.
"""

import select
import socket
import time

from child import Signals, end_group, end_leftovers, exit_code, meaning, say, start, stop

# Another rank has ended, or the connection to it: EX_TEMPFAIL of sysexits.h.
EXIT_WITH_REPLICA = 75
CONNECT_SECONDS = 2.0
SEND_SECONDS = 5.0
REPORT_EVERY_SECONDS = 10.0
LONGEST_LINE = 1000
# A node that vanished without a word is noticed after idle + count * interval = 25 seconds of silence.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 10, 5, 3
# For a process whose rank 0 has ended already: it has nothing to finish. `LOCKSTEP_STOP_SECONDS` in render.ts leaves room for it.
FOLLOWER_GRACE_SECONDS = 5.0


class Peer:
    """The connection to another rank."""

    def __init__(self, connection, rank=None):
        self.socket = connection
        self.rank = rank
        self.unread = b""
        connection.settimeout(SEND_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # macOS has another name for the first.
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
        for option, value in (
            (idle, KEEPALIVE_IDLE_SECONDS),
            (getattr(socket, "TCP_KEEPINTVL", None), KEEPALIVE_INTERVAL_SECONDS),
            (getattr(socket, "TCP_KEEPCNT", None), KEEPALIVE_COUNT),
        ):
            if option is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def fileno(self):
        return self.socket.fileno()

    def send(self, *words):
        """Sends a line; that the other end is gone shows when reading."""
        try:
            self.socket.sendall((" ".join(map(str, words)).replace("\n", " ") + "\n").encode())
        except OSError:
            pass

    def lines(self):
        """The lines that have arrived; None when the connection has ended. Call it when there is something to read."""
        try:
            data = self.socket.recv(4096)
        except OSError:
            data = b""
        if not data or len(self.unread) + len(data) > LONGEST_LINE:
            return None
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self):
        self.socket.close()


class Patience:
    """A time limit, with a line now and then about what is waited for."""

    def __init__(self, seconds):
        self.limit = seconds
        self.started = self.reported = time.monotonic()

    def left(self):
        return max(0.0, self.limit - (time.monotonic() - self.started))

    def report(self, what):
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY_SECONDS:
            self.reported = now
            say("still waiting for %s (%d of %g s)" % (what, now - self.started, self.limit))

    def give_up(self, what):
        say("gave up waiting for %s after %d s" % (what, time.monotonic() - self.started))


def gather(replica, place):
    """On rank 0: waits until all other ranks have connected. Returns them, or None when the time is over."""
    patience = Patience(place["timeoutSeconds"])
    listener = None
    while listener is None:
        try:
            listener = socket.create_server((place["host"], place["port"]))
        except OSError as error:
            what = "port %d of %s, where the other ranks of %s connect (%s)" % (
                place["port"], place["host"], replica, error.strerror)
            if patience.left() == 0:
                patience.give_up(what)
                return None
            patience.report(what)
            time.sleep(min(0.5, patience.left()))
    others = range(1, place["ranks"])
    unknown, peers = [], {}
    # What connects once the replica has started is refused, and tries again.
    with listener:
        while len(peers) < len(others):
            what = "rank %s of %s" % (", ".join(str(rank) for rank in others if rank not in peers), replica)
            if patience.left() == 0:
                patience.give_up(what)
                return None
            patience.report(what)
            readable, _, _ = select.select([listener, *unknown, *peers.values()], [], [], min(1.0, patience.left()))
            for ready in readable:
                if ready is listener:
                    unknown.append(Peer(listener.accept()[0]))
                else:
                    welcome(ready, replica, others, unknown, peers)
    for stranger in unknown:
        stranger.close()
    for peer in peers.values():
        peer.send("start")
    return list(peers.values())


def welcome(peer, replica, others, unknown, peers):
    """Takes what a connection says before the start: who it is, or that it has ended."""
    lines = peer.lines()
    if lines == []:
        return  # not a whole line yet
    words = " ".join(lines or []).split(" ")
    if peer in unknown:
        unknown.remove(peer)
        if len(words) == 3 and words[:2] == ["hello", replica] and words[2] in map(str, others):
            peer.rank = int(words[2])
            # One that comes again has lost its former connection.
            former = peers.get(peer.rank)
            peers[peer.rank] = peer
            if former is not None:
                former.close()
            return
        say("refused a connection that is no rank of %s" % replica)
    elif peers.get(peer.rank) is peer:
        del peers[peer.rank]
    peer.close()


def report(replica, rank, place):
    """On another rank: connects to rank 0 and waits until it says to start. Returns it, or None when the time is over."""
    patience = Patience(place["timeoutSeconds"])
    what = "rank 0 of %s at %s:%d" % (replica, place["host"], place["port"])
    while patience.left() > 0:
        try:
            leader = Peer(socket.create_connection((place["host"], place["port"]), CONNECT_SECONDS), 0)
        except OSError:
            patience.report(what)
            time.sleep(min(0.5, patience.left()))
            continue
        leader.send("hello", replica, rank)
        while patience.left() > 0:
            patience.report("all ranks of %s" % replica)
            if select.select([leader], [], [], min(1.0, patience.left()))[0]:
                lines = leader.lines()
                if lines == ["start"]:
                    return [leader]
                if lines != []:
                    break
        leader.close()
        time.sleep(min(0.2, patience.left()))
    patience.give_up(what)
    return None


def join(replica, rank, place):
    """Waits for the other ranks. Returns the connections to them, or None when they did not come in time."""
    say("waiting for the other ranks of %s: %d in all, at most %g s" % (replica, place["ranks"], place["timeoutSeconds"]))
    peers = gather(replica, place) if rank == 0 else report(replica, rank, place)
    if peers is not None:
        say("all %d ranks of %s are there; starting" % (place["ranks"], replica))
    return peers


class Rank:
    """This rank's process, and its part in the replica."""

    def __init__(self, number, peers, stop_seconds, marker):
        self.number = number
        self.peers = peers
        self.stop_seconds = stop_seconds
        self.marker = marker

    def run(self, command, env):
        """Starts the process and returns when it has ended, with the code to exit with.

        @raises OSError when it cannot be started.
        """
        signals = Signals()
        child = start(command, env)
        try:
            return self.watch(child, signals)
        finally:
            end_group(child)
            end_leftovers(self.marker)

    def watch(self, child, signals):
        leaving_since = None
        while True:
            wait = 5.0 if leaving_since is None else 0.2
            readable, _, _ = select.select([signals, *self.peers], [], [], wait)
            signals.clear()
            if child.poll() is not None:
                self.tell("its program ended with %s" % meaning(child.returncode))
                return exit_code(child.returncode)
            news = self.news(readable)
            if leaving_since is not None:
                if news is not None or time.monotonic() - leaving_since >= self.stop_seconds:
                    return stop(child, FOLLOWER_GRACE_SECONDS)
            elif news is not None:
                return self.end_with(child, *news)
            elif signals.told_to_stop and self.number == 0:
                code = stop(child, self.stop_seconds)
                self.tell("it was told to stop")
                return code
            elif signals.told_to_stop:
                leaving_since = time.monotonic()
                self.peers[0].send("leave")

    def news(self, readable):
        """(rank, why it ended, whether in good order) of another rank that has ended or is about to; None when all is well."""
        for peer in self.peers:
            if peer in readable:
                lines = peer.lines()
                if lines is None:
                    return peer.rank, "its connection is lost", False
                for line in lines:
                    word, _, why = line.partition(" ")
                    if word == "leave":
                        return peer.rank, "it was told to stop", True
                    if word == "end":
                        return peer.rank, why, False
        return None

    def end_with(self, child, rank, why, in_order):
        """Ends with another rank. What ended in good order still works until rank 0 is done."""
        say("rank %d of this replica has ended (%s): this one stops too, and the replica starts again" % (rank, why))
        passed_on = "rank %d: %s" % (rank, why)
        if not in_order:
            self.tell(passed_on)
        stop(child, self.stop_seconds)
        self.tell(passed_on)
        return EXIT_WITH_REPLICA

    def tell(self, why):
        for peer in self.peers:
            peer.send("end", why)
