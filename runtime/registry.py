"""Registry of the node addresses of a deployment's other clusters, kept in the deployment's own etcd. For
``exporter.py``.

Prometheus runs on the cluster with the control plane, which is up before the others have addresses. So every
node of another cluster registers its own (`Announcer`), again whenever etcd has lost it, and Prometheus gets
its targets (`Finder`) by HTTP: https://prometheus.io/docs/prometheus/latest/http_sd/

Environment variables: ETCD_AUTH_USERNAME and ETCD_AUTH_PASSWORD, or with an https URL the files
DYNAMO_SKY_TLS_AUTHORITY, DYNAMO_SKY_TLS_CERTIFICATE and DYNAMO_SKY_TLS_KEY. Python 3.9 or later, standard
library only.
"""

import base64
import json
import os
import ssl
import threading
import time
import urllib.error
import urllib.request

# `runtime/etcd_server.py` grants the user `dynamo` access to keys with this prefix.
PREFIX, PREFIX_END = "dynamo-sky/nodes/", "dynamo-sky/nodes0"
CALL_SECONDS = 5.0
ANNOUNCE_SECONDS = 10.0
# A name that never resolves: https://www.rfc-editor.org/rfc/rfc2606. So a planned node without an address
# counts as down.
NOWHERE = "not-yet-there.invalid"


class Registry:
    """The keys, through etcd's JSON gateway: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/"""

    def __init__(self, url):
        self.url = url
        self.context = None
        if url.startswith("https:"):
            self.context = ssl.create_default_context(cafile=os.environ["DYNAMO_SKY_TLS_AUTHORITY"])
            self.context.load_cert_chain(
                os.environ["DYNAMO_SKY_TLS_CERTIFICATE"], os.environ["DYNAMO_SKY_TLS_KEY"]
            )

    def call(self, path, body, token=None):
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = token
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        # Bypasses proxies of the environment between two nodes.
        handlers = [] if self.context is None else [urllib.request.HTTPSHandler(context=self.context)]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            return json.loads(answer.read())

    def log_in(self):
        """A token; None with a certificate, which is enough."""
        if self.context is not None:
            return None
        user = {"name": os.environ["ETCD_AUTH_USERNAME"], "password": os.environ["ETCD_AUTH_PASSWORD"]}
        return self.call("/v3/auth/authenticate", user)["token"]

    def addresses(self):
        """Address by node, with names of the form `cluster/rank`."""
        body = {"key": encoded(PREFIX), "range_end": encoded(PREFIX_END)}
        found = self.call("/v3/kv/range", body, self.log_in()).get("kvs", [])
        return {decoded(one["key"])[len(PREFIX) :]: decoded(one["value"]) for one in found}

    def announce(self, node, address):
        """Returns whether it had to be written: etcd keeps old versions for a while."""
        token = self.log_in()
        key = {"key": encoded(PREFIX + node)}
        found = self.call("/v3/kv/range", key, token).get("kvs", [])
        if found and decoded(found[0]["value"]) == address:
            return False
        self.call("/v3/kv/put", dict(key, value=encoded(address)), token)
        return True


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def decoded(text):
    return base64.b64decode(text).decode()


class Announcer(threading.Thread):
    """Keeps this node's address registered in etcd while it runs."""

    def __init__(self, registry, node, address):
        super().__init__(daemon=True)
        self.registry, self.node, self.address = registry, node, address
        self.told = None

    def run(self):
        while True:
            self.once()
            time.sleep(ANNOUNCE_SECONDS)

    def once(self):
        try:
            if self.registry.announce(self.node, self.address):
                self.say("told etcd that %s is at %s" % (self.node, self.address))
        except (OSError, ValueError, KeyError) as error:
            self.say("etcd cannot be told where %s is: %s" % (self.node, reason(error)))

    def say(self, message):
        """Reports a repeated problem only once."""
        if message != self.told:
            print(message, flush=True)
        self.told = message


def reason(error):
    return (
        "HTTP %d" % error.code
        if isinstance(error, urllib.error.HTTPError)
        else str(error) or type(error).__name__
    )


class Finder:
    """Targets of Prometheus on other clusters: the planned ones, with the addresses that their nodes
    registered."""

    def __init__(self, registry, path):
        self.registry, self.path = registry, path

    def targets(self, job):
        """Prometheus's targets of a job. Raises OSError, ValueError or KeyError if etcd does not answer."""
        with open(self.path, encoding="utf-8") as file:
            planned = json.load(file).get(job, [])
        addresses = self.registry.addresses()
        return [
            {
                "targets": ["%s:%d" % (bracketed(addresses.get(one["node"], NOWHERE)), one["port"])],
                "labels": one["labels"],
            }
            for one in planned
        ]


def bracketed(address):
    return "[%s]" % address if ":" in address else address
