"""Client of a node's supervisor, by XML-RPC through its socket: http://supervisord.org/api.html. Standard
library only, Python 3.9 or later."""

import http.client
import socket
import xmlrpc.client


class Transport(xmlrpc.client.Transport):
    """With a timeout, which supervisor's own transport does not have."""

    def __init__(self, path, seconds):
        super().__init__()
        self.path, self.seconds = path, seconds

    def make_connection(self, host):
        connection = http.client.HTTPConnection("localhost", timeout=self.seconds)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(self.seconds)
        connection.sock.connect(self.path)
        return connection


def supervisor_at(path, seconds):
    """A proxy with its methods."""
    return xmlrpc.client.ServerProxy("http://localhost", transport=Transport(path, seconds)).supervisor
