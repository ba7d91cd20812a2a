"""Prints what the programs of a node write, for ``sky logs``: ``follow.py PID`` in the node's directory,
until that process ends. Like `tail -F` of several files, but of programs that are given later, too; a heading
``==> logs/decode-0.log <==`` tells whose lines follow. Standard library only, Python 3.9 or later."""

import glob
import os
import sys
import time

PAUSE_SECONDS = 0.25
NOT_SHOWN = "supervisord.log"


class Log:
    def __init__(self, path):
        self.path, self.file, self.rest = path, open(path, "rb"), b""

    def lines(self):
        """Whole lines since the last call, also if supervisor has rotated the file in between."""
        data = self.file.read()
        try:
            now = os.stat(self.path)
        except OSError:
            now = None
        if now is not None and now.st_ino != os.fstat(self.file.fileno()).st_ino:
            self.file.close()
            self.file = open(self.path, "rb")
            data += self.file.read()
        *whole, self.rest = (self.rest + data).split(b"\n")
        return b"".join(line + b"\n" for line in whole)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(pid):
    logs, shown = {}, None
    out = sys.stdout.buffer
    goes_on = True
    while goes_on:
        # Once more after its end, for its last lines.
        goes_on = is_running(pid)
        for path in sorted(glob.glob("logs/*.log")):
            if path not in logs and os.path.basename(path) != NOT_SHOWN:
                logs[path] = Log(path)
        for path, log in logs.items():
            text = log.lines()
            if text and path != shown:
                out.write(b"%s==> %s <==\n" % (b"" if shown is None else b"\n", path.encode()))
                shown = path
            out.write(text)
        out.flush()
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
