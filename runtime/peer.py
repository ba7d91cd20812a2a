"""The connection between the launchers of two ranks of a replica: authenticated lines of text.

A launcher must be sure that an order to stop or start something comes from another launcher. All nodes of a
deployment have a generated secret (`secrets.json`), which is never sent. The listening side sends a nonce;
the connecting side replies with its name and a nonce of its own. Both derive the key of this connection from
the secret, the name and both nonces, and every further line starts with its HMAC under that key, which covers
direction and line number too: so no line can be forged, changed, replayed or reflected. The content is not
secret, and not encrypted.

Standard library only, Python 3.9 or later, like `launch.py`.
"""

import hashlib
import hmac
import os
import socket
import time

SEND_SECONDS = 5.0
# The longest line is the order to start an MPI daemon; before authentication only a name is accepted.
LONGEST_LINE = 65536
LONGEST_LINE_OF_A_STRANGER = 1000
# A node that vanished is noticed after idle + count * interval = 25 seconds of silence.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 10, 5, 3
SILENCE_SECONDS = KEEPALIVE_IDLE_SECONDS + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_SECONDS


class Peer:
    """One end of the connection. `rank` is the other end's rank, once known."""

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
        # macOS has another name for the first option.
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
        for option, value in (
            (idle, KEEPALIVE_IDLE_SECONDS),
            (getattr(socket, "TCP_KEEPINTVL", None), KEEPALIVE_INTERVAL_SECONDS),
            (getattr(socket, "TCP_KEEPCNT", None), KEEPALIVE_COUNT),
            # The same for unacknowledged data: otherwise the kernel would retry for a quarter of an hour.
            (getattr(socket, "TCP_USER_TIMEOUT", None), SILENCE_SECONDS * 1000),
        ):
            if option is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def fileno(self):
        return self.socket.fileno()

    def challenge(self):
        """The first line, sent by the listening side."""
        self.write(self.nonce)

    def authenticate(self, secret, replica, rank, nonce):
        """Answers the other end's challenge."""
        self.rank = 0
        self.key = session_key(secret, replica, rank, nonce, self.nonce)
        self.send("hello", replica, rank, self.nonce)

    def verify(self, secret, replica, ranks, line):
        """Verifies the reply to the challenge: whether it comes from one of the ranks; sets `rank`."""
        words = line.split(" ")
        if len(words) != 5 or words[1:3] != ["hello", replica] or words[3] not in map(str, ranks):
            return False
        self.key = session_key(secret, replica, words[3], self.nonce, words[4])
        if self.verified(line) is None:
            self.key = None
            return False
        self.rank = int(words[3])
        return True

    def send(self, *words):
        """Sends a line; a closed connection is noticed when reading."""
        line = " ".join(map(str, words)).replace("\n", " ")
        code = self.hmac_of(self.calls, self.sent, line)
        self.sent += 1
        self.write("%s %s" % (code, line))

    def write(self, text):
        try:
            self.socket.sendall((text + "\n").encode())
        except OSError:
            pass

    def lines(self):
        """The lines that have arrived; None if the connection has ended or a line is not authentic. Call it
        when there is something to read.
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
        verified = [self.verified(text) for text in texts]
        return None if None in verified else verified

    def verified(self, text):
        """A line without its HMAC; None if that is wrong."""
        code, _, line = text.partition(" ")
        expected = self.hmac_of(not self.calls, self.received, line)
        self.received += 1
        return line if hmac.compare_digest(code.encode(), expected.encode()) else None

    def hmac_of(self, by_the_caller, number, line):
        text = "%s %d %s" % ("caller" if by_the_caller else "listener", number, line)
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def close(self):
        self.socket.close()


def session_key(secret, replica, rank, listeners_nonce, callers_nonce):
    text = "lockstep %s %s %s %s" % (replica, rank, listeners_nonce, callers_nonce)
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()
