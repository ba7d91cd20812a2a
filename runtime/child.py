"""An engine as a child process of its launcher: stopped by one signal to its main process, and cleaned up
completely.

Engines start child processes. SGLang's main process treats a SIGTERM to one of them as a crash and exits at
once, dropping the requests in progress, so only the main process gets the signal. When it has exited, for any
reason, its remaining processes are killed, since they hold GPU memory. Standard library only, Python 3.9 or
later, like `launch.py`.
"""

import os
import select
import signal
import subprocess
import time

import processes
from memory import Kills

# Another part of the replica has ended, or this one hung: EX_TEMPFAIL of sysexits.h.
EXIT_WITH_REPLICA = 75
# For a process that can finish no request: it hangs, or has lost another rank. It may still deregister. Open
# streams end with it. `LAUNCHER_STOP_SECONDS` in plan.py must exceed this.
GRACE_SECONDS = 5.0
HANGS = "it hangs: it is ended, and started again"


def say(message):
    print(message, flush=True)


def end_leftovers(marker):
    """Kills processes left by an earlier run of this program.

    An engine's main process may die and leave children that hold GPU memory, and a killed supervisor leaves
    every program running on its port; the new run could then never start.
    """
    end_all(lambda: processes.with_entry(marker))


def end_all(find):
    """Kills the processes returned by `find` until there are none: a process may start another while it is
    killed."""
    leftovers = find()
    if not leftovers:
        return
    say("ending what an earlier run left behind: process %s" % ", ".join(map(str, leftovers)))
    deadline = time.monotonic() + 10
    while leftovers and time.monotonic() < deadline:
        for pid in leftovers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
        leftovers = find()


class Signals:
    """Receives SIGTERM, SIGINT and SIGCHLD; readable when one has arrived."""

    def __init__(self):
        self.told_to_stop = False
        self.reading, writing = os.pipe()
        for end in (self.reading, writing):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self.note)
        signal.signal(signal.SIGINT, self.note)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def note(self, *_):
        self.told_to_stop = True

    def fileno(self):
        return self.reading

    def clear(self):
        try:
            os.read(self.reading, 4096)
        except BlockingIOError:
            pass


def start(command, env):
    """Starts the program in its own session, out of reach of signals to the launcher's process group.

    @raises OSError if it cannot be started.
    """
    return subprocess.Popen(command, env=env, start_new_session=True)


class Single:
    """A program that does not depend on other nodes."""

    def __init__(self, stop_seconds, marker, watch=None, keepalive=None):
        self.stop_seconds = stop_seconds
        self.marker = marker
        self.watches = [] if watch is None else [watch]
        self.keepalive = keepalive

    def run(self, command, env):
        """Runs the program until it exits; returns the launcher's exit code.

        @raises OSError if it cannot be started.
        """
        signals = Signals()
        kills = Kills()
        child = start(command, env)
        for watch in self.watches:
            watch.begin()
        try:
            while child.poll() is None:
                if self.keepalive is not None:
                    self.keepalive.look(child.pid)
                readable, _, _ = select.select([signals, *self.watches], [], [], 5.0)
                signals.clear()
                if signals.told_to_stop:
                    return stop(child, self.stop_seconds)
                if any(watch in readable for watch in self.watches):
                    say(HANGS)
                    stop(child, GRACE_SECONDS)
                    return EXIT_WITH_REPLICA
            return exit_code(child.returncode)
        finally:
            tell(kills)
            end_group(child)
            end_leftovers(self.marker)


def tell(kills):
    """For the log, where the driver finds causes."""
    words = kills.words()
    if words is not None:
        say(words)


def stop(child, seconds):
    """Sends SIGTERM, then SIGKILL to the whole process group if it has not exited in time. Returns the
    launcher's exit code."""
    try:
        child.terminate()
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        say("the program did not stop within %g s and is killed" % seconds)
    end_group(child)
    return exit_code(child.returncode)


def end_group(child):
    """Kills the rest of the process group: an engine's children may outlive it and hold GPU memory."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left; macOS raises the latter for a group of zombies
    child.wait()


def exit_words(returncode):
    return "code %d" % returncode if returncode >= 0 else "signal %d" % -returncode


def exit_code(returncode):
    """The exit code as in a shell: 128 plus the signal's number."""
    return returncode if returncode >= 0 else 128 - returncode
