"""Which of the infras that are asked for SkyPilot has no access to, and why: what its own check says."""

import re
import threading

from machines import WITHOUT_CATALOG, cloud_of, infra_of, is_own_server

# A check asks the cloud, which may not answer.
CHECK_SECONDS = 20


class Enabled:
    """The clouds that the API server has found access to; asked for only when somebody wants to know."""

    def __init__(self):
        self.known = None

    def names(self):
        if self.known is None:
            from sky.client import sdk

            self.known = {name.lower() for name in sdk.get(sdk.enabled_clouds())}
        return self.known


def no_access(infras, enabled):
    """For each infra without access `{"infra": …, "why": …, "certain": …}`: a launch would check again what is not certain."""
    named = [infra for infra in infras if infra_of(infra).cloud is not None]
    checks = {infra: Check(infra) for infra in named if infra_of(infra).cloud not in enabled.names() and is_own_server()}
    found = {infra: check.problem() for infra, check in checks.items()}
    for infra in named:
        if infra not in checks and infra_of(infra).cloud not in enabled.names():
            found[infra] = ("its API server has not found access to it yet", False)
        elif found.get(infra) is None and is_own_server():
            found[infra] = unknown_context(infra)
    return [{"infra": infra, "why": found[infra][0], "certain": found[infra][1]} for infra in named if found.get(infra)]


def unknown_context(infra):
    """A context of Kubernetes, or a cluster or partition of Slurm, that is not in the configuration of this machine."""
    place = infra_of(infra)
    if place.cloud not in WITHOUT_CATALOG:
        return None
    try:
        cloud_of(infra).validate_region_zone(place.region, place.zone)
        return None
    except ValueError as error:
        return (first_line(error), True)


class Check:
    """SkyPilot's check of a cloud, which begins at once."""

    def __init__(self, infra):
        self.answer = ("its check did not end within %d s" % CHECK_SECONDS, False)
        # A check that hangs must not keep the process.
        self.thread = threading.Thread(target=self.run, args=[infra], daemon=True)
        self.thread.start()

    def run(self, infra):
        try:
            from sky.clouds import CloudCapability

            works, reason = cloud_of(infra).check_credentials(CloudCapability.COMPUTE)
            self.answer = None if works else (in_words(reason), True)
        except Exception as error:  # a check that fails says nothing of the access
            self.answer = ("its check failed: %s" % first_line(error), False)

    def problem(self):
        self.thread.join(CHECK_SECONDS)
        return self.answer


def in_words(reason):
    """A text, or one for each context."""
    texts = reason.values() if isinstance(reason, dict) else [reason or "it has no credentials"]
    return "; ".join(first_line(text) for text in texts)


def first_line(error):
    text = re.sub("\x1b\\[[0-9;]*m", "", str(error)).strip() or type(error).__name__
    return text.split("\n")[0].strip()[:300]
