"""Checks whether models exist on their hub and can be read, before a node fetches them. Downloads nothing.

Answers are interpreted as in huggingface_hub (`hf_raise_for_status` in
https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_http.py): what is refused
here would fail on the node. If the hub cannot be reached, or answers in another way, the result is unknown.
"""

import threading
import time
from urllib.parse import quote

# For one request, and for all together: a host may have many addresses, and none may answer.
CONNECT_SECONDS, ANSWER_SECONDS = 3, 5
ALL_SECONDS = 8
INVALID_TOKEN = "Invalid credentials in Authorization header"


class Hub:
    """Sends the requests in the background. `question` is `{"endpoint": …, "token": … or None, "models":
    [{"model": …, "revision": …}]}`.
    """

    def __init__(self, question):
        self.deadline = time.monotonic() + ALL_SECONDS
        asked = question["models"] if question else []
        self.answers = [dict(one, found="unknown", why="no answer in time", bytes=None) for one in asked]
        self.threads = [
            threading.Thread(target=self.fill, args=[question, answer], daemon=True)
            for answer in self.answers
        ]
        for thread in self.threads:
            thread.start()

    def fill(self, question, answer):
        try:
            found, why = access_to(question, answer)
            answer.update(found=found, why=why)
            if found == "there":
                answer.update(bytes=weights_of(question, answer))
        except Exception as error:  # no network, a proxy that refuses, a certificate that is not trusted
            # Only its type: the text may hold an address with a password.
            answer.update(why=type(error).__name__)

    def known(self):
        for thread in self.threads:
            thread.join(max(0, self.deadline - time.monotonic()))
        return [dict(answer) for answer in self.answers]


def ask(method, path, question, **more):
    import requests

    token = question.get("token")

    def authorized(request):
        request.headers["Authorization"] = "Bearer %s" % token
        return request

    return requests.request(
        method,
        question["endpoint"].rstrip("/") + path,
        # A function, since an entry of ~/.netrc for that host would override a header.
        auth=authorized if token else None,
        timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
        **more,
    )


def revision_in_path(asked):
    return quote(asked["revision"] or "main", safe="")


def access_to(question, asked):
    path = "/%s/resolve/%s/config.json" % (asked["model"], revision_in_path(asked))
    answer = ask("HEAD", path, question, allow_redirects=False)
    code, message = answer.headers.get("X-Error-Code"), answer.headers.get("X-Error-Message")
    if answer.status_code < 400 or code == "EntryNotFound":
        return "there", None
    if code == "RevisionNotFound":
        return "no-revision", None
    if code == "GatedRepo":
        return "gated", None
    if answer.status_code == 401 and message == INVALID_TOKEN:
        return "bad-token", None
    if code == "RepoNotFound" or answer.status_code == 401:
        return "missing", None
    if answer.status_code == 403:
        return "denied", None
    return "unknown", "it answered %d" % answer.status_code


def weights_of(question, asked):
    """Size of the weights in bytes; None if it is unknown, or if they are not in the usual format."""
    path = "/api/models/%s/revision/%s" % (asked["model"], revision_in_path(asked))
    try:
        files = ask("GET", path, question, params={"blobs": "true"}).json()["siblings"]
        # Directories hold copies in other formats.
        return (
            sum(
                file["size"]
                for file in files
                if file["rfilename"].endswith(".safetensors") and "/" not in file["rfilename"]
            )
            or None
        )
    except Exception:  # a mirror without this information
        return None
