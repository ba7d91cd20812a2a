"""Certificates with which the programs of a deployment authenticate to each other (mutual TLS). For
``launch.py``.

All nodes have one secret, from which each computes the same key of an authority. A program's own key is made
where the program runs, before each start, and never leaves its directory; the authority's key is never on
disk. So a node needs no other one, and no address has to be known before the node exists.

Python 3.9 or later, standard library only; the certificates are issued by openssl, installed by
`sky/setup.ts`.
"""

import base64
import hashlib
import hmac
import ipaddress
import os
import shutil
import subprocess
import tempfile
import time

from files import Unusable, write_private

# `NODES_AUTHORITY` of plan/programs/controlPlane.ts: a program that is given it gets a certificate instead.
SECRET = "DYNAMO_SKY_NODES_AUTHORITY"
# `tlsFile` of plan/programs/controlPlane.ts has the same names.
DIRECTORY, AUTHORITY, CERTIFICATE, KEY = "tls", "authority.pem", "certificate.pem", "key.pem"
# Name of every program, for clients that ask for a name instead of an address.
SERVER_NAME = "node.dynamo-sky.internal"
AUTHORITY_SUBJECT, PROGRAM_SUBJECT = "/CN=dynamo-sky nodes", "/CN=dynamo-sky node"
# Longer than any program runs: each start makes another certificate. Clocks of nodes may differ by a day.
DAYS, EARLIER_SECONDS = 3650, 86400
SECONDS = 30
# https://www.secg.org/sec2-v2.pdf, 2.4.2: the number of points of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# ECPrivateKey of RFC 5915 without the public key, around the 32 bytes of the private one.
BEFORE, AFTER = bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a8648ce3d030107")

CONFIG = """[req]
distinguished_name = none
[none]
[ca]
default_ca = issue
[issue]
database = index.txt
new_certs_dir = .
default_md = sha256
rand_serial = yes
policy = policy
unique_subject = no
[policy]
commonName = supplied
[of_authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[of_program]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = %s
"""


def authority_key(secret):
    """The authority's private key, PEM. 48 bytes, so that no number is noticeably more likely (FIPS 186-5,
    A.2.1)."""
    material = hmac.new(secret.encode(), b"dynamo-sky authority of nodes", hashlib.sha384).digest()
    number = int.from_bytes(material, "big") % (ORDER - 1) + 1
    text = base64.b64encode(BEFORE + number.to_bytes(32, "big") + AFTER).decode()
    return "-----BEGIN EC PRIVATE KEY-----\n%s\n-----END EC PRIVATE KEY-----\n" % text


def openssl(work, *arguments, text=""):
    """Keys are passed on standard input, so that they are on no command line and in no file."""
    try:
        done = subprocess.run(
            ["openssl"] + list(arguments),
            cwd=work,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except FileNotFoundError:
        raise Unusable(
            "openssl: no such program on this node's PATH; install it, or set controlPlane.tls to false"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unusable("openssl %s did not end within %d s" % (arguments[0], SECONDS)) from None
    if done.returncode != 0:
        raise Unusable("openssl %s failed: %s" % (arguments[0], done.stderr.strip()))
    return done.stdout


def time_of(seconds):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def keep(work, name, text):
    with open(os.path.join(work, name), "w", encoding="utf-8") as file:
        file.write(text)


def names_of(addresses):
    unique = sorted({str(ipaddress.ip_address(one)) for one in addresses})
    return ["DNS:" + SERVER_NAME] + ["IP:" + one for one in unique]


def issue(secret, addresses):
    """Texts by file name: the authority's certificate, and a new key with its certificate."""
    work = tempfile.mkdtemp(prefix="dynamo-sky-tls-")
    try:
        keep(work, "config", CONFIG % ",".join(names_of(addresses)))
        keep(work, "index.txt", "")
        config = ("-config", "config")
        root = authority_key(secret)
        now = time.time()
        dates = ("-startdate", time_of(now - EARLIER_SECONDS), "-enddate", time_of(now + DAYS * 86400))

        def certify(name, subject, extensions, *issuer, text):
            new = ("req", "-new", *config, "-key", "/dev/stdin", "-subj", subject)
            keep(work, "request", openssl(work, *new, text=text))
            sign = ("ca", "-batch", "-notext", *config, "-extensions", extensions, "-in", "request", *dates)
            issued = openssl(work, *sign, *issuer, "-keyfile", "/dev/stdin", text=root)
            keep(work, name, issued)
            return issued

        key = openssl(work, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        # Not by `req -x509`, which before OpenSSL 3.4 makes none that is valid earlier than now.
        authority = certify("authority", AUTHORITY_SUBJECT, "of_authority", "-selfsign", text=root)
        issuer = ("-cert", "authority")
        certificate = certify("certificate", PROGRAM_SUBJECT, "of_program", *issuer, text=key)
        return {AUTHORITY: authority, CERTIFICATE: certificate, KEY: key}
    finally:
        shutil.rmtree(work, ignore_errors=True)


# Variables for the files. Dynamo asks as a client with the certificate that it shows as a server:
# https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/runtime/src/config/environment_names.rs
DYNAMO = {
    AUTHORITY: ("DYN_TCP_TLS_CA_CERT_PATH", "DYN_TCP_TLS_CLIENT_CA_CERT_PATH", "NATS_TLS_CA_CERT_PATH"),
    CERTIFICATE: ("DYN_TCP_TLS_CERT_PATH", "DYN_TCP_TLS_CLIENT_CERT_PATH", "NATS_TLS_CLIENT_CERT_PATH"),
    KEY: ("DYN_TCP_TLS_KEY_PATH", "DYN_TCP_TLS_CLIENT_KEY_PATH", "NATS_TLS_CLIENT_KEY_PATH"),
}
# Dynamo 1.6.1 reads these as the PEM texts themselves, although it documents paths.
DYNAMO_TEXTS = {
    AUTHORITY: "ETCD_AUTH_CA",
    CERTIFICATE: "ETCD_AUTH_CLIENT_CERT",
    KEY: "ETCD_AUTH_CLIENT_KEY",
}
# https://etcd.io/docs/v3.4/op-guide/configuration/
ETCD = {
    AUTHORITY: ("ETCD_TRUSTED_CA_FILE",),
    CERTIFICATE: ("ETCD_CERT_FILE",),
    KEY: ("ETCD_KEY_FILE",),
}
# Read by registry.py.
EXPORTER = {
    AUTHORITY: ("DYNAMO_SKY_TLS_AUTHORITY",),
    CERTIFICATE: ("DYNAMO_SKY_TLS_CERTIFICATE",),
    KEY: ("DYNAMO_SKY_TLS_KEY",),
}


def environment(spec, node_dir, secret, addresses):
    """Issues a program's certificate, and returns the variables by which the program finds it. NATS has its
    files in its configuration."""
    directory = os.path.join(node_dir, "run", spec["name"], DIRECTORY)
    texts = write(directory, secret, addresses)
    role = spec["role"]

    def paths(variables):
        return {name: os.path.join(directory, file) for file, names in variables.items() for name in names}

    if role == "nats":
        return {}
    if role == "etcd":
        return {**paths(ETCD), "ETCD_CLIENT_CERT_AUTH": "true"}
    if role == "exporter":
        return paths(EXPORTER)
    own = {name: texts[file] for file, name in DYNAMO_TEXTS.items()}
    return {**paths(DYNAMO), **own, "DYN_TCP_TLS_SERVER_NAME": SERVER_NAME}


def write(directory, secret, addresses):
    """Issues a program's certificate into this directory, which only this user can read. Returns the texts by
    file name."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    texts = issue(secret, addresses)
    for name, text in texts.items():
        write_private(os.path.join(directory, name), text)
    return texts
