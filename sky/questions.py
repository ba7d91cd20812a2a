"""Answers many questions about SkyPilot, and runs its commands, in processes that have loaded it: loading
takes seconds, an answer milliseconds.

Runs with the interpreter of `sky`. Each input line is a question as JSON, each output line the answer to one:
{"code": …, "stdout": …, "stderr": …}. A question is

- a list: the arguments of a `sky` command, as on a command line;
- an object with a name of `QUESTIONS` below: answered in the same form, with JSON on "stdout";
- {"become": [arguments], "env": {…}}, the last line: the process becomes that command, with its output
  unchanged.

Without arguments it uses standard input and output. `questions.py --listen SOCKET` loads SkyPilot once and
forks a process for every connection, until its standard input is closed. Such a process first writes a line
{"pid": …} (it leads a process group), and accepts no "become".
"""

import gc
import json
import os
import select
import shutil
import socket
import sys

from click.testing import CliRunner
from prices import prices_of
from records import clusters, jobs, requests

QUESTIONS = {
    "prices": lambda asked: prices_of(asked["prices"], asked.get("access"), asked.get("hub")),
    "clusters": lambda asked: clusters(asked["clusters"], asked["refresh"]),
    "jobs": lambda asked: jobs(asked["jobs"]),
    "requests": lambda asked: requests(asked["requests"]),
}


def load():
    from sky.client.cli.command import cli

    return cli


def runner():
    try:
        return CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 always keeps them apart
        return CliRunner()


def in_words(error):
    """As `sky` prints it, with the class that tells the kind of failure."""
    return "\n%s.%s: %s" % (type(error).__module__, type(error).__name__, error)


def run_command(cli, arguments):
    result = runner().invoke(cli, arguments)
    failed = result.exception is not None and not isinstance(result.exception, SystemExit)
    stderr = result.stderr + (in_words(result.exception) if failed else "")
    return {"code": result.exit_code, "stdout": result.stdout, "stderr": stderr}


def ask(question):
    answer = next(QUESTIONS[name] for name in QUESTIONS if name in question)
    try:
        return {"code": 0, "stdout": json.dumps(answer(question)), "stderr": ""}
    except Exception as error:  # whatever SkyPilot raises is reported, and does not affect the next question
        return {"code": 1, "stdout": "", "stderr": in_words(error)}


def serve(cli, lines, answers):
    """Answers until there are no more questions. Returns the last one if it is a command to become."""
    for line in lines:
        asked = json.loads(line)
        if isinstance(asked, dict) and "become" in asked:
            return asked
        answer = run_command(cli, asked) if isinstance(asked, list) else ask(asked)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return None


def on_standard_streams():
    # Output that SkyPilot prints bypassing click must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    cli = load()
    asked = serve(cli, iter(sys.stdin.readline, ""), answers)
    if asked is not None:
        os.dup2(answers.fileno(), 1)
        os.environ.update(asked["env"])
        sys.exit(cli(asked["become"], prog_name="sky"))


def on_connection(cli, connection):
    # In its own process group, so that the client can kill all of it.
    os.setsid()
    # Two file objects, since writing to one drops its read-ahead, which holds the waiting questions.
    answers = connection.makefile("w", encoding="utf-8", newline="\n")
    answers.write(json.dumps({"pid": os.getpid()}) + "\n")
    answers.flush()
    serve(cli, connection.makefile("r", encoding="utf-8", newline="\n"), answers)


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    # Clients that connect before SkyPilot is loaded wait.
    listener.listen(64)
    cli = load()
    locks = own_locks()
    # Keeps loaded objects shared between the forked processes (copy-on-write).
    gc.freeze()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 1)
        if sys.stdin in ready and not os.read(0, 1):
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)
            return
        if listener in ready:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                in_child(cli, connection, locks)
            connection.close()
        reap()


def own_locks():
    """Locks that SkyPilot creates when it is loaded. None is held."""
    from filelock import BaseFileLock

    return [found for found in gc.get_objects() if issubclass(type(found), BaseFileLock)]


def in_child(cli, connection, locks):
    try:
        for lock in locks:
            # filelock 4 refuses a lock in a forked process, whether it is held or not.
            lock._creator_pid = os.getpid()
        # SkyPilot must not read from the parent's stdin, whose end stops the parent.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        on_connection(cli, connection)
    except ConnectionError:
        pass
    finally:
        # Skips the parent's exit handlers.
        os._exit(0)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2])
    else:
        on_standard_streams()
