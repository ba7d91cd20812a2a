"""Clusters, jobs and requests of SkyPilot's API server, in the form in which `sky status`, `queue` and `api
status` print them with `-o json`. Uses SkyPilot's SDK: its commands query the server for more, which is
then not printed (`sky status`, for instance, for all enabled clouds).
"""

from concurrent.futures import ThreadPoolExecutor

# The fields that `sky api status` requests:
# https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/client/cli/command.py
REQUEST_FIELDS = ["request_id", "name", "user_id", "status", "created_at"]


def clusters(names, refresh):
    """The named clusters of any user; without names all of this user's. Includes the head's address, and
    whether machines are spot instances, if SkyPilot has it."""
    import sky

    def ask(mode):
        return sky.get(sky.status(names or None, refresh=mode, all_users=bool(names)))

    records = ask(sky.StatusRefreshMode.FORCE if refresh else sky.StatusRefreshMode.NONE)
    # The refresh that finds a cluster abnormal answers without the reason that it has just written down.
    abnormal = [record for record in records if record.status == sky.ClusterStatus.INIT]
    if refresh and any(record.init_status_reason is None for record in abnormal):
        records = ask(sky.StatusRefreshMode.NONE)
    return [
        {
            **record.model_dump(mode="json", exclude={"handle", "credentials"}),
            "head_ip": getattr(record.handle, "head_ip", None),
            "spot": getattr(getattr(record.handle, "launched_resources", None), "use_spot", None),
        }
        for record in records
    ]


def jobs(names):
    """By cluster; a cluster that does not return its queue is left out."""
    with ThreadPoolExecutor(max_workers=max(1, min(8, len(names)))) as pool:
        queues = dict(zip(names, pool.map(queue_of, names)))
    return {name: queue for name, queue in queues.items() if queue is not None}


def queue_of(name):
    import sky
    from sky import exceptions

    # `sky queue` ignores the same:
    # https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/client/cli/command.py
    silent = (
        RuntimeError,
        ValueError,
        exceptions.CommandError,
        exceptions.NotSupportedError,
        exceptions.ClusterNotUpError,
        exceptions.CloudUserIdentityError,
        exceptions.ClusterOwnerIdentityMismatchError,
    )
    try:
        return [job.model_dump(mode="json") for job in sky.get(sky.queue(name))]
    except silent:
        return None


def requests(cluster):
    """Unfinished requests about a cluster."""
    import sky

    found = sky.api_status(fields=REQUEST_FIELDS, cluster_name=cluster)
    return [request.model_dump(mode="json") for request in found]
