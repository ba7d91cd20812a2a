"""Fetches models from the Hugging Face hub into its cache, once for all workers of a node: ``fetch_model.py SECRETS MODEL[@REVISION] …``.

What fails in passing (too many requests, a server's error, a connection that is cut) is tried again with growing pauses, as long as the hub asks for
where it does (Retry-After); what was fetched before stays, and files go on where they broke off. What will not change (no such model, no
access, a full disk) ends it at once. SECRETS is the file in which a launch has put the token, where there is one.

Run by the interpreter that has Dynamo, which brings `huggingface_hub`.
"""

import errno
import json
import os
import random
import sys
import time

ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 120.0
# The hub counts requests by windows of five minutes.
LONGEST_ASKED_SECONDS = 300.0
PASSING = {408, 425, 429}


def answered(error):
    """The hub's answer, which the error or one that it came from carries; None where there was none."""
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
    """What the answer's Retry-After says; None where it says nothing that is a number."""
    answer = answered(error)
    try:
        return float(answer.headers["Retry-After"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def pause_after(error, attempt):
    """Seconds. Nodes that failed together do not come back together."""
    asked = asked_seconds(error)
    least = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt) if asked is None else min(asked, LONGEST_ASKED_SECONDS)
    return least * (1 + random.random() / 2)


def fetch(download, name):
    """Calls `download` until it is through.

    @raises SystemExit with what to do about it when it cannot be, or not in `ATTEMPTS`.
    """
    for attempt in range(ATTEMPTS):
        try:
            return download()
        except Exception as error:  # whatever the hub's library and what is under it raise
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
