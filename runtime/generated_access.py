"""Generates the key and the certificate of a gateway launched without them, that is, of a recipe launched by
plain ``sky launch``.

Values given with the launch (``--secret``) are used. Missing ones are generated once, readable by the node's
user only, and kept for the next start in a directory beside the node's own. The log says where they are and
how to read them, but never the values.

Python 3.9 or later, standard library only; the certificate is issued by openssl, installed by `sky/setup.ts`.
"""

import json
import os
import secrets
import subprocess
import sys

from gateway import SECRET as KEY
from files import write_private
from gateway import TLS

KEY_FILE = "api-key"
BUNDLE_FILE = "tls.pem"
CERTIFICATE_FILE = "certificate.pem"
NAMES_FILE = "certificate-names"
DAYS = 3650

# A self-signed certificate that clients can trust directly.
OPENSSL_CONFIG = """[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = dynamo-sky gateway
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = %s
"""


def say(message):
    # Standard output is the secrets file.
    print(message, file=sys.stderr, flush=True)


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def openssl(*arguments, text=None):
    try:
        done = subprocess.run(["openssl"] + list(arguments), input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit("openssl: no such program on this node's PATH; give a certificate of your own (%s)" % TLS) from None
    if done.returncode != 0:
        raise SystemExit("openssl %s failed: %s" % (arguments[0], done.stderr.strip()))
    return done.stdout


def cluster_name():
    """Name of the cluster in ssh's configuration."""
    try:
        return json.loads(os.environ["SKYPILOT_CLUSTER_INFO"])["cluster_name"]
    except (KeyError, TypeError, ValueError):
        return "CLUSTER"


def read_command(path):
    return "ssh %s cat %s" % (cluster_name(), path)


def own_key(directory):
    path = os.path.join(directory, KEY_FILE)
    key = read(path)
    if key is None:
        key = secrets.token_hex(32)
        write_private(path, key)
    say("the endpoint asks for a key, which this node has made. To read it: %s" % read_command(path))
    return key.strip()


def names_of(address):
    """Addresses that clients connect to: the node, and the ends of a tunnel."""
    return ["IP:" + one for one in dict.fromkeys([address, "127.0.0.1"])] + ["DNS:localhost"]


def own_certificate(directory, address):
    bundle, certificate, names = (
        os.path.join(directory, name) for name in (BUNDLE_FILE, CERTIFICATE_FILE, NAMES_FILE)
    )
    wanted = ",".join(names_of(address))
    # Another address needs another certificate; the names are written last, when the rest is complete.
    if read(names) != wanted or read(bundle) is None or read(certificate) is None:
        key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        config, partial = bundle + ".conf", bundle + ".key"
        write_private(config, OPENSSL_CONFIG % wanted)
        write_private(partial, key)
        try:
            made = openssl("req", "-x509", "-new", "-key", partial, "-days", str(DAYS), "-config", config)
        finally:
            os.unlink(config)
            os.unlink(partial)
        write_private(bundle, key + made)
        write_private(certificate, made)
        write_private(names, wanted)
    text = read(certificate)
    fingerprint = openssl("x509", "-noout", "-fingerprint", "-sha256", text=text).strip().split("=")[-1]
    say("the endpoint shows a certificate that this node has made for %s, SHA-256 %s" % (wanted, fingerprint))
    say("to have it, for clients to trust: %s" % read_command(certificate))
    return read(bundle)


def make(wanted, given, home):
    """Values by name for those of `wanted` that were not given.

    `given` are the names that came with the launch, `home` the parent of the node's directory.
    """
    missing = [name for name in (KEY, TLS) if name in wanted and name not in given]
    if not missing:
        return {}
    directory = os.path.join(home, "access")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)
    address = os.environ["SKYPILOT_NODE_IPS"].split()[0]
    makers = {KEY: lambda: own_key(directory), TLS: lambda: own_certificate(directory, address)}
    return {name: makers[name]() for name in missing}
