"""What SkyPilot's API server knows of clusters, jobs and requests, in the form in which `sky status`, `queue` and `api status` print it
with `-o json`. Asked through SkyPilot's SDK: its commands ask the server for more, which is then not printed (`sky status` for all clouds
that are enabled, for one).
"""

from concurrent.futures import ThreadPoolExecutor

# What `sky api status` asks for: https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/client/cli/command.py
REQUEST_FIELDS = ["request_id", "name", "user_id", "status", "created_at"]


def clusters(names, refresh):
    """Those named, of whomever; all of one's own without names. With the address of the head, where SkyPilot has noted it."""
    import sky

    mode = sky.StatusRefreshMode.FORCE if refresh else sky.StatusRefreshMode.NONE
    records = sky.get(sky.status(names or None, refresh=mode, all_users=bool(names)))
    return [
        {
            **record.model_dump(mode="json", exclude={"handle", "credentials"}),
            "head_ip": getattr(record.handle, "head_ip", None),
        }
        for record in records
    ]


def jobs(names):
    """By cluster; one that does not tell its queue is left out."""
    with ThreadPoolExecutor(max_workers=max(1, min(8, len(names)))) as pool:
        queues = dict(zip(names, pool.map(queue_of, names)))
    return {name: queue for name, queue in queues.items() if queue is not None}


def queue_of(name):
    import sky
    from sky import exceptions

    # These are what `sky queue` passes over: https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/client/cli/command.py
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
    """Those about a cluster that are not over."""
    import sky

    found = sky.api_status(fields=REQUEST_FIELDS, cluster_name=cluster)
    return [request.model_dump(mode="json") for request in found]
