"""Downloads models from the Hugging Face hub into its cache, once for all workers of a node: ``fetch_model.py
SECRETS MODEL[@REVISION] …``.

Transient failures (rate limit, server error, broken connection) are retried with growing pauses, or after the
hub's Retry-After; downloaded files are kept, and partial ones resumed. Permanent failures (no such model, no
access, disk full) end it at once. SECRETS is the file with the launch's hub token, if it has one.

Runs with the interpreter that has Dynamo, which includes `huggingface_hub`.
"""

import errno
import json
import os
import random
import sys
import time

ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 120.0
# The hub's rate limit counts requests in windows of five minutes.
LONGEST_ASKED_SECONDS = 300.0
PASSING = {408, 425, 429}


def answered(error):
    """The hub's response, from the error or one of its causes; None if there was none."""
    while error is not None:
        answer = getattr(error, "response", None)
        if answer is not None:
            return answer
        error = error.__cause__ or error.__context__
    return None


def is_passing(error):
    answer = answered(error)
    if answer is not None:
        return answer.status_code in PASSING or answer.status_code >= 500
    cause = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return False
        cause = cause.__cause__ or cause.__context__
    return not isinstance(error, (TypeError, ImportError))


def asked_seconds(error):
    """The response's Retry-After; None if it is missing or not a number."""
    answer = answered(error)
    try:
        return float(answer.headers["Retry-After"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def pause_after(error, attempt):
    """Seconds, with jitter, so that nodes that failed together do not retry together."""
    asked = asked_seconds(error)
    least = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt) if asked is None else min(asked, LONGEST_ASKED_SECONDS)
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
                raise SystemExit("%s could not be fetched (attempt %d): %s" % (name, attempt + 1, reason)) from None
            pause = pause_after(error, attempt)
            print("fetching %s failed (%s); attempt %d of %d in %.0f s" % (name, reason, attempt + 2, ATTEMPTS, pause), flush=True)
            time.sleep(pause)


def main():
    secrets, *models = sys.argv[1:]
    if os.path.exists(secrets):
        with open(secrets, encoding="utf-8") as file:
            os.environ.update({name: value for name, value in json.load(file).items() if name == "HF_TOKEN"})
    from huggingface_hub import snapshot_download

    for model in models:
        name, _, revision = model.partition("@")
        print("fetching %s" % model, flush=True)
        fetch(lambda: snapshot_download(name, revision=revision or None), name)


if __name__ == "__main__":
    main()
