"""SkyPilot's own validation of what this project passes on. Reads task YAMLs as a JSON list from standard
input, answers in JSON.

Nothing is provisioned and no cloud is queried: features, schemas and the check of a pod's user are read from
SkyPilot's own code.
"""

import ast
import copy
import inspect
import json
import pathlib
import sys

import sky
import yaml
from sky import cloud_stores, exceptions
from sky import task as task_lib
from sky.data import storage as storage_lib
from sky.skylet import constants
from sky.utils import config_utils, schemas, volume
from sky.utils.registry import CLOUD_REGISTRY

ROOT = pathlib.Path(sky.__file__).parent
# As in the template when it requests RDMA.
POD = {
    "spec": {
        "containers": [
            {
                "name": "ray-node",
                "env": [{"name": "SKYPILOT_POD_NODE_TYPE", "value": "head"}],
                "securityContext": {"capabilities": {"add": ["IPC_LOCK"]}},
            }
        ]
    }
}


def template_of(name):
    return (ROOT / "templates" / ("%s-ray.yml.j2" % ("kubernetes" if name == "ssh" else name))).read_text()


def takes_image(name):
    """Whether the image reaches the cloud: it is in the template."""
    return any(word in template_of(name) for word in ("docker_image", "image_id"))


def unsupported(name, cloud):
    try:
        features = cloud._unsupported_features_for_resources(sky.Resources())
    except ImportError:  # Kubernetes, whose package is not installed here
        features = cloud._CLOUD_UNSUPPORTED_FEATURES
    names = {feature.name for feature in features}
    return sorted(names if takes_image(name) else names | {"DOCKER_IMAGE"})


def logs_in(name):
    return "docker_login_config" in template_of(name)


def drops_hourly_cost(cloud):
    return "del max_hourly_cost" in inspect.getsource(cloud.get_default_instance_type)


def privilege_check():
    """The text of `check_k8s_user_sudo_cmd` in `pre_init`."""
    tree = ast.parse((ROOT / "provision" / "kubernetes" / "instance.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "check_k8s_user_sudo_cmd":
            return eval(
                compile(ast.Expression(node.value), "instance.py", "eval"), {"exceptions": exceptions}
            )
    raise LookupError("check_k8s_user_sudo_cmd")


def pod_of(text, section):
    """The pod of a task, as far as its `pod_config` defines it."""
    task = task_lib.Task.from_yaml_config(yaml.safe_load(text))
    overrides = next(iter(task.resources)).cluster_config_overrides
    pod = copy.deepcopy(POD)
    config_utils.merge_k8s_configs(pod, (overrides.get(section) or {}).get("pod_config") or {})
    return pod


def refusal(text):
    try:
        task_lib.Task.from_yaml_config(yaml.safe_load(text))
        return None
    except Exception as error:
        return str(error)


def copied(text):
    """What SkyPilot would copy out of buckets, by the path on a node."""
    task = task_lib.Task.from_yaml_config(yaml.safe_load(text))
    return {path: [mount.source, mount.mode.value] for path, mount in task.storage_mounts.items()}


def mount_refusal(mount):
    """Of a file mount as SkyPilot finds it when it makes buckets, or fetches from one."""
    try:
        task = task_lib.Task.from_yaml_config({"run": "true", "file_mounts": {"/mnt": mount}})
        task.expand_and_validate_file_mounts()
        for storage in task.storage_mounts.values():
            storage._validate_storage_spec(storage.name)
        for source in (task.file_mounts or {}).values():
            if "://" in source:
                cloud_stores.get_storage_from_path(source)
        return None
    except Exception as error:  # the names of schemes are asserted
        return str(error) or type(error).__name__


def volume_refusal(mounted):
    try:
        slurm = {"infra": "slurm/hpc"} if "host_path" in mounted else {}
        task = task_lib.Task.from_yaml_config(
            {"run": "true", "resources": slurm, "volumes": {"/mnt": mounted}}
        )
        task.resolve_and_validate_volumes()
        return None
    except exceptions.VolumeNotFoundError:  # its form is right
        return None
    except Exception as error:
        return str(error) or type(error).__name__


request = json.load(sys.stdin)
clouds = dict(CLOUD_REGISTRY.items())
print(
    json.dumps(
        {
            "aliases": CLOUD_REGISTRY._aliases,
            "unsupported": {name: unsupported(name, cloud) for name, cloud in clouds.items()},
            "logins": [name for name in clouds if logs_in(name)],
            "dropsHourlyCost": [name for name, cloud in clouds.items() if drops_hourly_cost(cloud)],
            "volumeKinds": [kind.value for kind in volume.VolumeType],
            "configKeys": [".".join(key) for key in constants.OVERRIDEABLE_CONFIG_KEYS_IN_TASK],
            "container": "name: ray-node" in (ROOT / "templates" / "kubernetes-ray.yml.j2").read_text(),
            "privilegeCheck": privilege_check(),
            "insufficient": exceptions.INSUFFICIENT_PRIVILEGES_CODE,
            "pods": [pod_of(one["task"], one["section"]) for one in request["pods"]],
            "copied": [copied(text) for text in request["clusters"]],
            "refusals": [refusal(text) for text in request["tasks"]],
            "mounts": [mount_refusal(mount) for mount in request["mounts"]],
            "volumes": [volume_refusal(one) for one in request["volumes"]],
            "words": {
                "stores": [store.value for store in storage_lib.StoreType],
                "types": [kind.value for kind in storage_lib.FileMountType],
                "schemes": list(cloud_stores._REGISTRY),
                "access": [mode.value for mode in volume.VolumeAccessMode],
                "claims": list(schemas.get_volume_schema()["properties"]["config"]["properties"]),
            },
        }
    )
)
