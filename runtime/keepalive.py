"""TCP keepalive for the connections that another process accepts at a port.

A frontend only reads from the connections by which workers answer it. Where a worker's node vanishes (no
power, a cut network, a pod whose network goes first) nobody closes them, and Dynamo 1.6.1 waits on them
without a limit: streams stand still until their clients give up. With keepalive they break when the node has
not been heard of for a while, and go on at another worker. A node that is only busy is heard of all the same:
its kernel answers. Dynamo has no setting for it: https://github.com/ai-dynamo/dynamo/issues/13088

What a socket accepts has the socket's own options, so that they are set on the one that listens, by the
process that has started its owner. Needs Linux 5.6 (pidfd_getfd) and what ptrace needs. Standard library
only, Python 3.9 or later.
"""

import ctypes
import os
import socket

# https://man7.org/linux/man-pages/man2/pidfd_getfd.2.html; the same number on all architectures.
PIDFD_GETFD = 438
LISTENING = "0A"
# A connection is given up IDLE + INTERVAL * PROBES seconds after the last sign of its peer.
IDLE_SECONDS = 5
INTERVAL_SECONDS = 3
PROBES = 3


class KeepAlive:
    """Sets it once the process listens."""

    def __init__(self, port, say):
        self.port = port
        self.say = say
        self.is_over = False

    def look(self, pid):
        if self.is_over:
            return
        try:
            self.is_over = keep_alive(pid, self.port)
        except (OSError, AttributeError) as error:
            self.is_over = True
            self.say(
                "no keepalive on port %d (%s): streams of a worker whose node vanishes may stand still"
                % (self.port, error)
            )


def keep_alive(pid, port):
    """Whether the process listens there by now. @raises OSError if its sockets cannot be had."""
    found = listening(pid, port)
    for number in found:
        with socket.socket(fileno=descriptor_of(pid, number)) as its:
            its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_SECONDS)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    return len(found) > 0


def descriptor_of(pid, number):
    """A duplicate of another process's descriptor."""
    process = os.pidfd_open(pid)
    try:
        got = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if got < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return got


def listening(pid, port):
    """Numbers of the process's descriptors that listen on the port; none if it does not, or has ended."""
    try:
        sockets = {"socket:[%s]" % inode for inode in listeners(pid, port)}
        names = os.listdir("/proc/%d/fd" % pid) if sockets else []
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, name)) in sockets:
                found.append(int(name))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def listeners(pid, port):
    """Inodes of the sockets in the process's network that listen on the port."""
    for table in ("tcp", "tcp6"):
        try:
            with open("/proc/%d/net/%s" % (pid, table)) as file:
                rows = [line.split() for line in file][1:]
        except FileNotFoundError:  # no IPv6
            continue
        for row in rows:
            if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port:
                yield row[9]
