"""Obstacles to a launch at an infra: missing access, by SkyPilot's own check, or a program missing on this
machine."""

import re
import shutil
import threading

from machines import WITHOUT_CATALOG, cloud_of, infra_of, is_own_server

# A check queries the cloud, which may not answer.
CHECK_SECONDS = 20

# SkyPilot's choice, if no infra is named.
ANY = "*"

TOOLS = {
    "ssh": "by which nodes, their logs and the endpoint are reached",
    "rsync": "by which SkyPilot brings files to nodes",
    "kubectl": "by which SkyPilot reaches pods",
    "socat": "by which SkyPilot reaches pods",
    "nc": "by which SkyPilot reaches pods",
}


class Enabled:
    """The enabled clouds of the API server; queried on demand only."""

    def __init__(self):
        self.known = None

    def names(self):
        if self.known is None:
            from sky.client import sdk

            self.known = {name.lower() for name in sdk.get(sdk.enabled_clouds())}
        return self.known


def obstacles_of(infras, enabled):
    """Obstacles to a launch, `{"infra": …, "kind": …, "why": …, "certain": …}`: uncertain ones are checked
    again then. Kinds: `OBSTACLE_KINDS` of plan/obstacles.ts."""
    places = [infra for infra in infras if infra_of(infra).cloud is not None] or [ANY]
    found = [(infra, "access", why, certain) for infra, (why, certain) in without_access(places, enabled)]
    found += [(infra, "program", why, True) for infra in places for why in without_tools(infra)]
    return [
        {"infra": infra, "kind": kind, "why": why, "certain": certain} for infra, kind, why, certain in found
    ]


def without_access(infras, enabled):
    named = [infra for infra in infras if infra != ANY]
    missing = [infra for infra in named if infra_of(infra).cloud not in enabled.names()]
    checks = {infra: Check(infra) for infra in missing}
    found = [(infra, checks[infra].problem() if infra in checks else None) for infra in named]
    if is_own_server():
        found = [(infra, problem or unknown_context(infra)) for infra, problem in found]
    return [(infra, problem) for infra, problem in found if problem is not None]


def without_tools(infra):
    """Programs of this machine that SkyPilot, or queries of its clusters, call. A remote API server has
    its own."""
    place = infra_of(None if infra == ANY else infra)
    needed = ["ssh"]
    if is_own_server():
        needed += ["rsync"] + (["kubectl", "socat", "nc"] if place.cloud in ("kubernetes", "ssh") else [])
    return [
        "there is no %s on PATH, %s" % (tool, TOOLS[tool]) for tool in needed if shutil.which(tool) is None
    ]


def unknown_context(infra):
    """A Kubernetes context, or a Slurm cluster or partition, that is not configured on this machine."""
    place = infra_of(infra)
    if place.cloud not in WITHOUT_CATALOG:
        return None
    try:
        cloud_of(infra).validate_region_zone(place.region, place.zone)
        return None
    except ValueError as error:
        return (first_line(error), True)
    except Exception:  # a missing package, for example: the launch reports it
        return None


def own_check(infra):
    from sky.clouds import CloudCapability

    return cloud_of(infra).check_credentials(CloudCapability.COMPUTE)


def server_check(infra):
    """A remote API server checks with its own credentials, and stores the result."""
    from sky.client import sdk

    cloud = infra_of(infra).cloud
    found = sdk.get(sdk.check((cloud,), False))
    works = any(
        "compute" in clouds[name] for clouds in found.values() for name in clouds if name.lower() == cloud
    )
    return works, "its API server has no credentials for it"


class Check:
    """SkyPilot's check of a cloud, started at once."""

    def __init__(self, infra):
        self.answer = ("its check did not end within %d s" % CHECK_SECONDS, False)
        # A hanging check must not keep the process running.
        self.thread = threading.Thread(target=self.run, args=[infra], daemon=True)
        self.thread.start()

    def run(self, infra):
        try:
            works, reason = (own_check if is_own_server() else server_check)(infra)
            self.answer = None if works else (in_words(reason), True)
        except Exception as error:  # a failed check does not mean that there is no access
            self.answer = ("its check failed: %s" % first_line(error), False)

    def problem(self):
        self.thread.join(CHECK_SECONDS)
        return self.answer


def in_words(reason):
    """A text, or one per context."""
    texts = reason.values() if isinstance(reason, dict) else [reason or "it has no credentials"]
    return "; ".join(first_line(text) for text in texts)


def first_line(error):
    text = re.sub("\x1b\\[[0-9;]*m", "", str(error)).strip() or type(error).__name__
    return text.split("\n")[0].strip()[:300]
