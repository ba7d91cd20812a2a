#!/usr/bin/env python3
"""Runs etcd with password authentication: ``etcd_server.py etcd <its flags>``, started by ``launch.py``.

Environment variables: NODE_DIR, ETCD_AUTH_PASSWORD and DYNAMO_SKY_ETCD_ROOT_PASSWORD. They are not passed on
to etcd.

At every start etcd first runs for half a second on a Unix socket in the node's own directory, where its users
are set up; then this process becomes the real server (exec). So etcd is never reachable by others without
authentication, and nobody else can create its users first.

There are two users: ``root``, used by this script only, and ``dynamo``, whose role may read and write only
the keys of Dynamo and of ``registry.py``. Data whose root has another password are deleted: they are
registrations of processes, which restart with the new passwords and register again.

Python 3.9 or later, standard library only.
"""

import base64
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # no __pycache__ among the node's files
from files import write_private

USER = "dynamo"  # ETCD_AUTH_USERNAME of `plan/programs/environment.ts`
PASSWORD = "ETCD_AUTH_PASSWORD"
ROOT_PASSWORD = "DYNAMO_SKY_ETCD_ROOT_PASSWORD"
# Key ranges of Dynamo's discovery and of registry.py; the end of a range is the first key after it.
RANGES = (("v1/", "v10"), ("dynamo-sky/", "dynamo-sky0"))
# Relative to the node's directory, which only its owner can access. etcd 3.4 requires the form host:port even
# here.
SOCKET = "etcd-setup:0"
SETUP_LOG = "logs/etcd-setup.log"
TOKEN_KEY = "run/etcd-token.key"
SETUP_SECONDS = 60
STOP_SECONDS = 10
CALL_SECONDS = 10
EXIT_FAILED = 75  # EX_TEMPFAIL of sysexits.h
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h


class Failed(Exception):
    """An error message without values of secrets."""


class OtherPassword(Exception):
    """The data's root user has another password."""


def say(message):
    print(message, flush=True)


class SocketConnection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=CALL_SECONDS)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CALL_SECONDS)
        self.sock.connect(SOCKET)


def call(path, body=None, token=None):
    """HTTP status and JSON of one call. Paths: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/"""
    connection = SocketConnection()
    try:
        headers = {} if token is None else {"Authorization": token}
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, {}


def must(path, body, token=None, fine=()):
    """As `call`, but raises on an error unless its message contains a word in `fine`. Returns whether it
    succeeded."""
    status, answer = call("/v3/auth/" + path, body, token)
    if status == 200:
        return True
    message = str(answer.get("message") or answer.get("error") or "HTTP %d" % status)
    if any(word in message for word in fine):
        return False
    raise Failed("etcd: %s: %s" % (path, message))


def log_in(name, password):
    """An auth token; None if authentication is not enabled yet. Raises OtherPassword."""
    status, answer = call("/v3/auth/authenticate", {"name": name, "password": password})
    if status == 200:
        return answer["token"]
    message = str(answer.get("message") or answer.get("error") or "HTTP %d" % status)
    if "not enabled" in message:
        return None
    if "invalid user ID or password" in message:
        raise OtherPassword()
    raise Failed("etcd: authenticate: %s" % message)


def set_user(name, password, token):
    """Creates or updates the user with this password and the role of the same name."""
    if not must("user/add", {"name": name, "password": password}, token, fine=("already exists",)):
        must("user/changepw", {"name": name, "password": password}, token)
    must("role/add", {"name": name}, token, fine=("already exists",))
    must("user/grant", {"user": name, "role": name}, token, fine=("already",))


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def set_users(password, root_password):
    token = log_in("root", root_password)
    if token is not None:
        try:
            log_in(USER, password)
            return
        except OtherPassword:
            pass  # only the password was changed
    else:
        set_user("root", root_password, token)
    set_user(USER, password, token)
    for first, end in RANGES:
        permission = {"permType": "READWRITE", "key": encoded(first), "range_end": encoded(end)}
        must("role/grant", {"name": USER, "perm": permission}, token)
    if token is None:
        must("enable", {})
    say("etcd asks for a password from now on")


def forget_socket():
    try:
        os.unlink(SOCKET)
    except FileNotFoundError:
        pass


def healthy():
    try:
        return call("/health")[0] == 200
    except OSError:
        return False


def with_setup_server(command, env, work):
    """Runs the set-up while etcd listens on the socket only."""
    # The last of repeated flags wins. A single member need not wait long for an election.
    quick = ["--heartbeat-interval", "10", "--election-timeout", "100"]
    urls = ["--listen-client-urls", "unix://" + SOCKET, "--advertise-client-urls", "unix://" + SOCKET]
    forget_socket()
    with open(SETUP_LOG, "w", encoding="utf-8") as log:
        server = subprocess.Popen(command + urls + quick, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + SETUP_SECONDS
        while not healthy():
            if server.poll() is not None:
                raise Failed("etcd ended with %d while its users were set up: see %s" % (server.returncode, SETUP_LOG))
            if time.monotonic() > deadline:
                raise Failed("etcd did not answer within %d s while its users were set up: see %s" % (SETUP_SECONDS, SETUP_LOG))
            time.sleep(0.02)
        work()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        forget_socket()


def data_directory(command):
    return command[command.index("--data-dir") + 1]


def set_up(command, env, password, root_password):
    def work():
        set_users(password, root_password)

    try:
        with_setup_server(command, env, work)
    except OtherPassword:
        say("etcd's data are of other passwords: starting with empty ones")
        shutil.rmtree(data_directory(command))
        with_setup_server(command, env, work)


def token_flags():
    """JWT tokens, which etcd does not store: its simple tokens are lost at a restart and expire after five
    minutes without a request, and Dynamo does not renew them.
    """
    if not os.path.exists(TOKEN_KEY):
        write_private(TOKEN_KEY, secrets.token_hex(32))
    return ["--auth-token", "jwt,sign-method=HS256,priv-key=%s,ttl=87600h" % TOKEN_KEY]


def main():
    os.umask(0o077)
    command = sys.argv[1:]
    try:
        passwords = [os.environ.pop(name) for name in (PASSWORD, ROOT_PASSWORD)]
    except KeyError as error:
        say("%s is not in the environment" % error)
        return EXIT_UNUSABLE
    os.chdir(os.environ["NODE_DIR"])
    env = dict(os.environ)
    command += token_flags()
    try:
        set_up(command, env, *passwords)
    except FileNotFoundError:
        say("%s: no such program on this node's PATH (%s)" % (command[0], env.get("PATH", "")))
        return 127
    except (Failed, OSError) as error:
        say(str(error))
        return EXIT_FAILED
    os.execvpe(command[0], command, env)


if __name__ == "__main__":
    sys.exit(main())
