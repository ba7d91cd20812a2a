"""An engine as a child of its launcher: told to stop by one signal to its main process, and outlived by none of its processes.

Engines start processes of their own. SGLang's main process takes a SIGTERM to those for a crash and ends at once, with the
requests in progress, so the signal goes to the main process alone; and when that is gone, however it ended, what it has left
is killed, for it holds the GPU's memory. Standard library only, Python 3.9 or later, like `launch.py`.
"""

import os
import select
import signal
import subprocess
import time

import processes


def say(message):
    print(message, flush=True)


def end_leftovers(marker):
    """Kills what an earlier run of this program left behind.

    An engine's main process may die and leave its children alive with the GPU's memory, and a killed supervisor
    leaves every program running on its port; without this, the new run could never start.
    """
    end_all(lambda: processes.with_entry(marker))


def end_all(find):
    """Kills the processes that `find` names until it names none: one that is being killed may start another."""
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
    """SIGTERM and SIGINT, which are kept, and the end of a child; readable when one has come."""

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
    """Starts the program in a session of its own, where no signal to the launcher's group reaches it.

    @raises OSError when it cannot be started.
    """
    return subprocess.Popen(command, env=env, start_new_session=True)


class Single:
    """A program that depends on no other node's."""

    def __init__(self, stop_seconds, marker):
        self.stop_seconds = stop_seconds
        self.marker = marker

    def run(self, command, env):
        """Starts the program and returns when it has ended, with the code to exit with.

        @raises OSError when it cannot be started.
        """
        signals = Signals()
        child = start(command, env)
        try:
            while child.poll() is None:
                select.select([signals], [], [], 5.0)
                signals.clear()
                if signals.told_to_stop:
                    return stop(child, self.stop_seconds)
            return exit_code(child.returncode)
        finally:
            end_group(child)
            end_leftovers(self.marker)


def stop(child, seconds):
    """SIGTERM, and SIGKILL for it and all of its group when it has not ended by then. Returns the code to exit with."""
    try:
        child.terminate()
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        say("the program did not stop within %g s and is killed" % seconds)
    end_group(child)
    return exit_code(child.returncode)


def end_group(child):
    """Kills what is left of the process and its group: an engine's children may outlive it and keep the GPU's memory."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left; macOS says the latter of a group of zombies
    child.wait()


def meaning(returncode):
    return "code %d" % returncode if returncode >= 0 else "signal %d" % -returncode


def exit_code(returncode):
    """As a shell says it: a signal is 128 and its number."""
    return returncode if returncode >= 0 else 128 - returncode
