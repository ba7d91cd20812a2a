"""Downloads models from the Hugging Face hub into its cache, once for all workers of a node, or of all nodes
that share the cache: ``fetch_model.py SECRETS MODEL[@REVISION] …``.

Transient failures (rate limit, server error, broken connection) are retried with growing pauses, or after the
hub's Retry-After; downloaded files are kept, and partial ones resumed. Permanent failures (no such model, no
access, disk full) end it at once. SECRETS is the file with the launch's hub token, if it has one.

Runs with the interpreter that has Dynamo, which includes `huggingface_hub`.
"""

import contextlib
import errno
import json
import os
import random
import sys
import threading
import time

import retry_after

ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 120.0
PASSING = {408, 425, 429}
LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
# Heartbeat of the lock. Shared file systems show it late: NFS after up to a minute.
ALIVE_EVERY_SECONDS, DEAD_AFTER_SECONDS = 5.0, 180.0
LONGEST_TURN_SECONDS = 6 * 3600.0
LOOK_EVERY_SECONDS = 2.0


def chain(error):
    """The error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def answered(error):
    """The hub's response, from the error or one of its causes; None if there was none."""
    answers = (getattr(one, "response", None) for one in chain(error))
    return next((answer for answer in answers if answer is not None), None)


def is_passing(error):
    answer = answered(error)
    if answer is not None:
        return answer.status_code in PASSING or answer.status_code >= 500
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    if any(isinstance(one, OSError) and one.errno in LASTING for one in chain(error)):
        return False
    return not isinstance(error, (TypeError, ImportError))


def asked_seconds(error):
    """The response's Retry-After; None if it is missing or says nothing."""
    headers = getattr(answered(error), "headers", None)
    return None if headers is None else retry_after.seconds(headers.get("Retry-After"))


def pause_after(error, attempt):
    """Seconds, with jitter, so that nodes that failed together do not retry together."""
    asked = asked_seconds(error)
    least = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt) if asked is None else asked
    return least * (1 + random.random() / 2)


def fetch(download, name):
    """Calls `download` until it succeeds.

    @raises SystemExit with what to do, on a permanent failure or after `ATTEMPTS`.
    """
    for attempt in range(ATTEMPTS):
        try:
            return download()
        except Exception as error:  # any error of the hub's library or the libraries below it
            reason = "%s: %s" % (type(error).__name__, str(error).strip().split("\n")[0])
            if not is_passing(error) or attempt == ATTEMPTS - 1:
                raise SystemExit(
                    "%s could not be fetched (attempt %d): %s" % (name, attempt + 1, reason)
                ) from None
            pause = pause_after(error, attempt)
            print(
                "fetching %s failed (%s); attempt %d of %d in %.0f s"
                % (name, reason, attempt + 2, ATTEMPTS, pause),
                flush=True,
            )
            time.sleep(pause)


class Turn:
    """A lock on downloading a model, among all processes that share the hub's cache. The others wait, then
    find the files.

    It is a directory, since creating one is atomic also on file systems without locks. It only saves time: if
    it cannot be created, all download.
    """

    def __init__(self, cache, model):
        self.path = os.path.join(cache, ".dynamo-sky-%s" % model.replace("/", "--"))
        self.model = model
        self.is_mine = False
        self.over = threading.Event()

    def __enter__(self):
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self.wait()
        except OSError as error:
            print("fetching %s without waiting for others: %s" % (self.model, error), flush=True)

    def __exit__(self, *_):
        self.over.set()
        if self.is_mine:
            with contextlib.suppress(OSError):
                os.rmdir(self.path)

    def wait(self):
        started = changed = time.monotonic()
        seen = None
        while not self.taken():
            now, last = time.monotonic(), self.shown()
            if seen is None:
                print("another node is fetching %s; waiting for it" % self.model, flush=True)
            if last != seen:
                seen, changed = last, now
            if now - changed > DEAD_AFTER_SECONDS:
                self.remove_stale()
                changed = now
            if now - started > LONGEST_TURN_SECONDS:
                return
            time.sleep(LOOK_EVERY_SECONDS)
        self.is_mine = True
        threading.Thread(target=self.show, daemon=True).start()

    def taken(self):
        try:
            os.mkdir(self.path)
        except FileExistsError:
            return False
        return True

    def shown(self):
        try:
            return os.stat(self.path).st_mtime_ns
        except FileNotFoundError:
            return 0

    def remove_stale(self):
        """Of a process that was killed. By a change of name, which one alone of those that wait succeeds
        with.
        """
        dead = "%s.%d.dead" % (self.path, os.getpid())
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, dead)
            os.rmdir(dead)

    def show(self):
        while not self.over.wait(ALIVE_EVERY_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def remember(snapshot):
    """Makes a revision the cache's default for the model.

    Dynamo 1.6.1's own library looks that up whatever revision the engine gets: with HF_HUB_OFFLINE=1, which
    workers have by `hubEnvironment` of plan/hub.ts, in the cache; else at the hub, and it downloads that too.
    """
    repository, commit = os.path.dirname(os.path.dirname(snapshot)), os.path.basename(snapshot)
    name = os.path.join(repository, "refs", "main")
    partial = "%s.%d" % (name, os.getpid())
    try:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(partial, "w", encoding="utf-8") as file:
            file.write(commit)
        os.replace(partial, name)
    except OSError as error:
        print(
            "%s stays as it is, and workers may fetch the newest revision too: %s" % (name, error), flush=True
        )


def fetch_model(model, cache, snapshot_download):
    name, _, revision = model.partition("@")
    print("fetching %s" % model, flush=True)
    with Turn(cache, name):
        snapshot = fetch(lambda: snapshot_download(name, revision=revision or None), name)
    if revision:
        remember(snapshot)


def main():
    secrets, *models = sys.argv[1:]
    if os.path.exists(secrets):
        with open(secrets, encoding="utf-8") as file:
            os.environ.update({name: value for name, value in json.load(file).items() if name == "HF_TOKEN"})
    from huggingface_hub import constants, snapshot_download

    for model in models:
        fetch_model(model, constants.HF_HUB_CACHE, snapshot_download)


if __name__ == "__main__":
    main()
