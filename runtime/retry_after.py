"""How long a server wants to be left alone: its Retry-After, in seconds.

``retry_after.py FILE`` reads what a program has printed that does not heed it, as apt and uv do not. If a
server has refused for too many requests, it is asked once more for that answer, and the seconds are printed.
Standard library only, Python 3.9 or later.
"""

import email.utils
import re
import sys
import time
import urllib.error
import urllib.request

# The hub's rate limit counts requests in windows of five minutes.
LONGEST_SECONDS = 300.0
ASK_SECONDS = 10
BUSY = re.compile(r"\b(429|503)\b|Too Many Requests|Service Unavailable", re.IGNORECASE)
URL = re.compile(r"https?://[^\s()<>\[\]'\"`]+")


def seconds(value):
    """What a Retry-After says, at most `LONGEST_SECONDS`; None if it is missing or says nothing."""
    try:
        wanted = float(value)
    except (TypeError, ValueError):
        try:
            wanted = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    return min(max(wanted, 0.0), LONGEST_SECONDS)


def refusing(text):
    """The URL of the last line that tells of such a refusal; None if there is none."""
    found = [URL.findall(line) for line in text.splitlines() if BUSY.search(line)]
    urls = [url.rstrip(".,:;") for line in found for url in line]
    return urls[-1] if urls else None


def asked(url):
    """What the server says now; None if it answers, or says nothing of it."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ASK_SECONDS).close()
    except urllib.error.HTTPError as error:
        return seconds(error.headers.get("Retry-After"))
    except (OSError, ValueError):
        pass
    return None


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        url = refusing(file.read())
    wanted = None if url is None else asked(url)
    if wanted is not None:
        print(int(wanted + 0.999))


if __name__ == "__main__":
    main()
