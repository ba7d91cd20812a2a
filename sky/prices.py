"""SkyPilot's candidates for a task and their prices. Provisions nothing.

Follows SkyPilot's optimizer (`_fill_in_launchable_resources` in `sky/optimizer.py`): for every requested
infra, the cheapest instance type in each region (for spot in each zone) that offers it. A launch tries the
cheapest candidate first, and the next one if that has no capacity, so all of them count. Prices come from the
catalogs on this machine, which SkyPilot keeps up to date, and for Kubernetes and Slurm from `pricing` in its
configuration; without that they are 0.
"""

import copy

from access import Enabled, first_line, obstacles_of
from hub import Hub
from machines import cost_of, launchable, misses_of


def prices_of(tasks, infras=None, hub=None):
    """Returns `{"prices": […], "obstacles": […], "models": […]}`.

    `prices` has for each task (`num_nodes` and `resources`, as in YAML)
    `{"candidates": […], "problem": text or None, "misses": […], "refused": text or None}`: without
    candidates, `misses` lists what no machine of the catalogs offers (`machines.py`); empty if unknown.
    `refused`: why SkyPilot does not take the task at all.

    `infras` are those whose access to check (`access.py`). Without them no server and no cloud is queried,
    and access is assumed.
    `hub` is the question about models (`hub.py`), asked in parallel.
    """
    models = Hub(hub)
    enabled = None if infras is None else Enabled()
    prices = [price_of(task, enabled) for task in tasks]
    return {
        "prices": prices,
        "obstacles": [] if enabled is None else obstacles_at(infras, enabled),
        "models": models.known(),
    }


def obstacles_at(infras, enabled):
    try:
        return obstacles_of(infras, enabled)
    except Exception:  # an API server that does not answer is reported elsewhere
        return []


def price_of(config, enabled):
    refused = None
    try:
        from sky import exceptions
        from sky import task as task_lib

        try:
            task = task_lib.Task.from_yaml_config(copy.deepcopy(config))
        except exceptions.InvalidSkyPilotConfigError as error:
            refused = first_line(error)
            raise
        candidates = []
        hints = []
        for resources, cloud in choices(task, enabled):
            resources.validate()
            feasible = cloud.get_feasible_launchable_resources(resources, task.num_nodes)
            candidates += [candidate(one, task.num_nodes) for one in launchable(feasible.resources_list)]
            hints += [feasible.hint] if feasible.hint else []
        problem = None if candidates else " ".join(hints) or "it finds no such machines"
    except Exception as error:  # whatever SkyPilot raises: a missing price is a result, not a failure
        candidates, problem = [], first_line(error)
    missed = [] if candidates or refused else misses(config)
    return {"candidates": candidates, "problem": problem, "misses": missed, "refused": refused}


def misses(config):
    try:
        return misses_of(config) or []
    except Exception:  # unreadable catalog
        return []


def choices(task, enabled):
    """Pairs of requested resources and cloud. As in a launch, a cloud that is not enabled is skipped if
    another one is."""
    from sky.utils import registry

    asked = list(task.resources)
    if len(asked) == 1 and asked[0].cloud is not None:
        return [(asked[0], asked[0].cloud)]
    if enabled is None:
        if any(one.cloud is None for one in asked):
            raise LookupError("nobody was asked to which clouds there is access")
        return [(one, one.cloud) for one in asked]
    clouds = [registry.CLOUD_REGISTRY.from_str(name) for name in sorted(enabled.names())]
    pairs = [(one, cloud) for one in asked for cloud in ([one.cloud] if one.cloud is not None else clouds)]
    if not pairs:
        raise LookupError("no infra is set up yet (sky check)")
    return [pair for pair in pairs if pair[1].canonical_name() in enabled.names()] or pairs


def candidate(resources, nodes):
    dollars = cost_of(resources)
    place = [resources.cloud.canonical_name(), resources.region, resources.zone]
    return {
        "infra": "/".join(part for part in place if part),
        "instanceType": resources.instance_type,
        "spot": resources.use_spot,
        "dollarsPerHour": None if dollars is None else dollars * nodes,
    }
