"""Finds out from the catalogs on this machine whether a cloud has the machine that a task asks for, and if
not, why. Provisions nothing and sends no request to a cloud.

For each infra without such a machine: `{"infra": …, "cause": …, "allowed": […], "instead": […]}`. Without the
request named by `cause` there would be a machine; it is a name of CAUSES, or "several" if no single request
is the cause. `allowed` has the values that the infra has, and `instead` the other requests that could be
changed.
"""

import math
import re

# Infras whose machines are fixed, without a catalog.
WITHOUT_CATALOG = {"kubernetes", "slurm", "ssh"}

# In the order of messages, with the fields of `resources` that request them.
CAUSES = {
    "useSpot": ["use_spot"],
    "instanceType": ["instance_type"],
    "cpus": ["cpus"],
    "memory": ["memory"],
    "maxHourlyCost": ["max_hourly_cost"],
    "networkTier": ["network_tier"],
    "diskTier": ["disk_tier"],
    "place": [],
}
# Other fields do not restrict the machine, and for some of them SkyPilot queries the cloud (its own images).
ASKED = ["infra", "accelerators", *(field for fields in CAUSES.values() for field in fields)]


def misses_of(config):
    """What is missing, by infra. None if unknown: an infra without a catalog, or chosen by SkyPilot, may
    have it."""
    resources = config["resources"]
    shared = {key: value for key, value in resources.items() if key not in ("any_of", "ordered")}
    asked = [
        {key: value for key, value in {**shared, **one}.items() if key in ASKED}
        for one in resources.get("any_of") or resources.get("ordered") or [shared]
    ]
    if any(not has_catalog(one.get("infra")) for one in asked) or not is_own_server():
        return None
    found = [miss_of(one) for one in asked]
    impossible = [one for one in found if one is not None and one["cause"] == "infra"]
    # A launch fails on an unknown region or zone, regardless of its other candidates.
    return impossible or (found if None not in found else None)


def has_catalog(infra):
    cloud = infra_of(infra).cloud
    return cloud is not None and cloud not in WITHOUT_CATALOG


def is_own_server():
    """A remote API server has its own credentials and catalogs."""
    from sky.server import common

    return common.is_api_server_local()


def infra_of(infra):
    from sky.utils import infra_utils

    return infra_utils.InfraInfo.from_str(infra)


def cloud_of(infra):
    from sky.utils import registry

    return registry.CLOUD_REGISTRY.from_str(infra_of(infra).cloud)


def miss_of(asked):
    """None if there is such a machine."""
    unknown = unknown_place(asked["infra"])
    if unknown is not None:
        return unknown
    if offers(asked):
        return None
    infra = asked["infra"]
    if "accelerators" in asked:
        missed = accelerator_missed(asked)
        if missed is not None:
            return {"infra": infra, "instead": [], **missed}
    doing = {}
    for cause in CAUSES:
        without = relaxed(asked, cause)
        if without != asked and offers(without):
            doing[cause] = what_there_is(cause, asked)
    cause = next(iter(doing), "several")
    return {
        "infra": infra,
        "cause": cause,
        "allowed": doing.get(cause, []),
        "instead": [other for other in doing if other != cause],
    }


def unknown_place(infra):
    """A region or zone that is not in the catalog."""
    place = infra_of(infra)
    cloud = cloud_of(infra)
    try:
        cloud.validate_region_zone(place.region, place.zone)
        return None
    except ValueError as error:
        # The error lists similar ones, or all.
        listed = re.findall(r"(?:one of these|regions): '([^']*)'", str(error))
        known = [name for names in listed for name in names.split(", ")]
        start = [infra.split("/")[0], *([place.region] if "Invalid zone" in str(error) else [])]
        return {
            "infra": infra,
            "cause": "infra",
            "allowed": ["/".join([*start, name]) for name in known],
            "instead": [],
        }


def offers(asked):
    """Candidates of a launch."""
    from sky import exceptions
    from sky import task as task_lib

    try:
        task = task_lib.Task.from_yaml_config({"resources": asked})
        (resources,) = task.resources
        resources.validate()
        return launchable(resources.cloud.get_feasible_launchable_resources(resources).resources_list)
    except (ValueError, exceptions.ResourcesMismatchError, exceptions.NotSupportedError):
        return []


def launchable(feasible):
    """The cheapest comes first; a launch tries it first."""
    from sky.utils import resources_utils

    return resources_utils.make_launchables_for_valid_region_zones(feasible[0]) if feasible else []


def accelerator_missed(asked):
    """What is missing if no machine of the cloud has the accelerator, or this many; None otherwise."""
    name, _, count = asked["accelerators"].partition(":")
    offered = accelerators_of(cloud_of(asked["infra"]))
    counts = next((numbers for own, numbers in offered.items() if own.lower() == name.lower()), None)
    if counts is None:
        return {"cause": "accelerator", "allowed": sorted(offered)}
    if int(count) in counts:
        return None
    # Those available with all other requests; if there are none, all.
    possible = [one for one in counts if offers({**asked, "accelerators": "%s:%d" % (name, one)})]
    return {"cause": "count", "allowed": [str(one) for one in possible or counts]}


def machines_with_accelerators(cloud):
    """Those of the cloud's catalog, by the accelerator's name."""
    from sky import catalog

    return catalog.list_accelerators(
        gpus_only=False, clouds=cloud.canonical_name(), all_regions=True, require_price=False
    )


def accelerators_of(cloud):
    """Numbers of accelerators per machine, by name."""
    listed = machines_with_accelerators(cloud).items()
    numbers = {name: sorted({one.accelerator_count for one in machines}) for name, machines in listed}
    return {name: [int(one) for one in counts if one == int(one)] for name, counts in numbers.items()}


def relaxed(asked, cause):
    if cause == "place":
        return {**asked, "infra": asked["infra"].split("/")[0]}
    return {key: value for key, value in asked.items() if key not in CAUSES[cause]}


def what_there_is(cause, asked):
    without = relaxed(asked, cause)
    if cause == "place":
        return sorted(
            {"/".join(filter(None, [without["infra"], one.region, one.zone])) for one in offers(without)}
        )
    if cause == "maxHourlyCost":
        known = [cost for cost in map(cost_of, offers(without)) if cost is not None]
        return [enough(min(known))] if known else []
    if cause == "instanceType":
        return sorted({one.instance_type for one in offers(without)})
    if cause in ("cpus", "memory"):
        return sizes_of(cause, without)
    return []


def enough(cost):
    """The price as text, not less than it is: a limit of so much is met."""
    text = "%.4f" % (math.ceil(round(cost * 10_000, 4)) / 10_000)
    return re.sub("0{1,2}$", "", text)


def cost_of(machine):
    """US dollars an hour; None without a price in the catalog."""
    try:
        cost = machine.get_cost(3600)
    except Exception:
        return None
    return None if cost != cost else cost


def sizes_of(cause, asked):
    """CPUs, or memory in GB, of the machines with that accelerator."""
    if "accelerators" not in asked:
        return []
    name, _, count = asked["accelerators"].partition(":")
    listed = machines_with_accelerators(cloud_of(asked["infra"]))
    machines = [one for own, all_of in listed.items() if own.lower() == name.lower() for one in all_of]
    sizes = {
        one.cpu_count if cause == "cpus" else one.memory
        for one in machines
        if one.accelerator_count == int(count)
    }
    return ["%g" % size for size in sorted(size for size in sizes if size is not None and size == size)]
