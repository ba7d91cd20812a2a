"""The connection between the launchers of two ranks of a replica: lines of text, each of which proves who wrote it.

A launcher that is told to stop or to start something by the network has to know that the order is another launcher's. All of
a deployment's nodes have a generated secret (`secrets.json`), which is never sent. The one that listens sends a number that
was never used before; the one that calls answers with its name and such a number of its own. From the secret, the name and both numbers
each makes the key of this connection, and every further line begins with its HMAC under that key, over direction and number of the line
too: so no line can be made up, changed, sent twice or sent back. What is said is no secret, and is not hidden.

Standard library only, Python 3.9 or later, like `launch.py`.
"""

import hashlib
import hmac
import os
import socket
import time

SEND_SECONDS = 5.0
# The order to start an MPI daemon is the longest line; a stranger gets no more than a name needs.
LONGEST_LINE = 65536
LONGEST_LINE_OF_A_STRANGER = 1000
# A node that vanished without a word is noticed after idle + count * interval = 25 seconds of silence.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 10, 5, 3
SILENCE_SECONDS = KEEPALIVE_IDLE_SECONDS + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_SECONDS


class Peer:
    """One end of it. `rank` is the rank at the other end, once that is known."""

    def __init__(self, connection, calls):
        self.socket = connection
        self.calls = calls
        self.rank = None
        self.since = time.monotonic()
        self.unread = b""
        self.key = None
        self.sent = self.received = 0
        self.nonce = os.urandom(16).hex()
        connection.settimeout(SEND_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # macOS has another name for the first.
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
        for option, value in (
            (idle, KEEPALIVE_IDLE_SECONDS),
            (getattr(socket, "TCP_KEEPINTVL", None), KEEPALIVE_INTERVAL_SECONDS),
            (getattr(socket, "TCP_KEEPCNT", None), KEEPALIVE_COUNT),
            # The same where something was sent meanwhile: without it the kernel would try for a quarter of an hour.
            (getattr(socket, "TCP_USER_TIMEOUT", None), SILENCE_SECONDS * 1000),
        ):
            if option is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def fileno(self):
        return self.socket.fileno()

    def challenge(self):
        """The first line of the one that listens."""
        self.write(self.nonce)

    def introduce(self, secret, replica, rank, nonce):
        """Answers the other end's challenge."""
        self.rank = 0
        self.key = session_key(secret, replica, rank, nonce, self.nonce)
        self.send("hello", replica, rank, self.nonce)

    def admit(self, secret, replica, ranks, line):
        """Takes the answer to the challenge: whether it is that of one of the ranks, which `rank` then is."""
        words = line.split(" ")
        if len(words) != 5 or words[1:3] != ["hello", replica] or words[3] not in map(str, ranks):
            return False
        self.key = session_key(secret, replica, words[3], self.nonce, words[4])
        if self.opened(line) is None:
            self.key = None
            return False
        self.rank = int(words[3])
        return True

    def send(self, *words):
        """Sends a line; that the other end is gone shows when reading."""
        line = " ".join(map(str, words)).replace("\n", " ")
        seal = self.seal(self.calls, self.sent, line)
        self.sent += 1
        self.write("%s %s" % (seal, line))

    def write(self, text):
        try:
            self.socket.sendall((text + "\n").encode())
        except OSError:
            pass

    def lines(self):
        """
        The lines that have arrived; None when the connection has ended, or one is not the other end's. Call it when there is
        something to read.
        """
        try:
            data = self.socket.recv(4096)
        except OSError:
            data = b""
        longest = LONGEST_LINE if self.key else LONGEST_LINE_OF_A_STRANGER
        if not data or len(self.unread) + len(data) > longest:
            return None
        *lines, self.unread = (self.unread + data).split(b"\n")
        texts = [line.decode(errors="replace") for line in lines]
        if self.key is None:
            return texts
        opened = [self.opened(text) for text in texts]
        return None if None in opened else opened

    def opened(self, text):
        """A line without its proof; None if that is not right."""
        seal, _, line = text.partition(" ")
        expected = self.seal(not self.calls, self.received, line)
        self.received += 1
        return line if hmac.compare_digest(seal.encode(), expected.encode()) else None

    def seal(self, by_the_caller, number, line):
        text = "%s %d %s" % ("caller" if by_the_caller else "listener", number, line)
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def close(self):
        self.socket.close()


def session_key(secret, replica, rank, listeners_nonce, callers_nonce):
    text = "lockstep %s %s %s %s" % (replica, rank, listeners_nonce, callers_nonce)
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()
