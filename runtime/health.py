"""Asks a program whether it answers: once before another starts (`launch.py`), and again and again while an
engine runs (`Watch`), to end one that hangs.

Standard library only, Python 3.9 or later, like `launch.py`.
"""

import os
import socket
import threading
import time
import urllib.error
import urllib.request

PROBE_SECONDS = 2.0
# Between two questions while an engine starts: one that hangs soon after must have been seen well before.
STARTING_SECONDS = 1.0


def say(message):
    print(message, flush=True)


def ask(probe, seconds=PROBE_SECONDS):
    """None if the probe succeeds, otherwise what was seen instead."""
    try:
        if probe["kind"] == "tcp":
            with socket.create_connection((probe["host"], probe["port"]), seconds):
                return None
        # Bypasses proxies of the environment: both programs are in the same cluster.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(probe["url"], timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return "HTTP %d" % error.code
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def describe(probe):
    return probe["url"] if probe["kind"] == "http" else "%s:%d" % (probe["host"], probe["port"])


class Watch:
    """Asks a running engine for its health; readable (`select`) once it hangs: as many failures in a row as
    the plan allows. No answer within the time limit is one: a stopped process answers nothing at all.

    Nothing counts before its first success: an engine may load its weights for an hour. In a thread, because
    a request may take as long as its limit, and the launcher must heed signals and other ranks meanwhile.
    """

    def __init__(self, probe, every, limit, failures):
        self.probe = probe
        self.every = every
        self.limit = limit
        self.most = failures
        self.reading, self.writing = os.pipe()

    def fileno(self):
        return self.reading

    def begin(self):
        threading.Thread(target=self.ask_on, daemon=True).start()

    def ask_on(self):
        failures, is_started = 0, False
        while True:
            asked = time.monotonic()
            seen = ask(self.probe, self.limit)
            if seen is None:
                if failures:
                    say("it is healthy again")
                failures, is_started = 0, True
            elif is_started:
                failures += 1
                say(
                    "not healthy, %d of %d times in a row: %s: %s"
                    % (failures, self.most, describe(self.probe), seen)
                )
                if failures == self.most:
                    break
            every = self.every if is_started else min(STARTING_SECONDS, self.every)
            time.sleep(max(0.0, every - (time.monotonic() - asked)))
        os.write(self.writing, b"!")


def watch_of(spec, probe):
    """The watch over a program; None if the plan has none for it.

    @param probe: its health probe, placeholders filled in
    """
    plan = spec.get("watch")
    if plan is None:
        return None
    return Watch(probe, plan["everySeconds"], plan["timeoutSeconds"], plan["failures"])
