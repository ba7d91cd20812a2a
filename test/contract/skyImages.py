"""What SkyPilot installs on a node that runs an image, as whom, and from where, out of its own text. Reads
task YAMLs as a JSON list from standard input, answers in JSON. Nothing is installed or provisioned.
"""

import json
import pathlib
import re
import sys

import sky
import yaml
from sky import skypilot_config
from sky import task as task_lib
from sky.provision import docker_utils
from sky.skylet import constants
from sky.utils import command_runner

ROOT = pathlib.Path(sky.__file__).parent
# Where SkyPilot installs packages, and the words around them.
PACKAGES = {
    "kubernetes": ("templates/kubernetes-ray.yml.j2", r'\bPACKAGES="([^"]+)"'),
    "docker": ("provision/docker_utils.py", r"force-confnew install -y ([a-z0-9 -]+)"),
    "runpod": ("provision/runpod/utils.py", r"apt install ([a-z0-9 -]+) -y"),
    "yotta": ("provision/yotta/yotta_utils.py", r"apt install ([a-z0-9 -]+) -y"),
    "vast": ("templates/vast-ray.yml.j2", r"apt install -y ([a-z0-9 -]+)"),
    "slurm": ("provision/slurm/instance.py", r"apt-get install -y ([a-z0-9 -]+)"),
}


def installs(path, pattern):
    # Python's strings of several lines in one.
    text = re.sub(r"'\s*\n\s*(?:#.*\n\s*)*'", "", (ROOT / path).read_text())
    (names,) = re.findall(pattern, text)
    return sorted(names.split())


def setup_of(template):
    """The commands that SkyPilot runs by ssh on a node that is up."""
    return template.read_text().partition("\nsetup_commands:")[2]


def docker_run(text):
    task = task_lib.Task.from_yaml_config(yaml.safe_load(text))
    resources = next(iter(task.resources))
    options = skypilot_config.get_nested(
        ("docker", "run_options"), [], override_configs=resources.cluster_config_overrides
    )
    image = resources.extract_docker_image()
    return image and docker_utils.docker_start_cmds(image, "sky_container", options, "docker")


clouds = {path.name[: -len("-ray.yml.j2")]: path for path in (ROOT / "templates").glob("*-ray.yml.j2")}
brings = constants.CONDA_INSTALLATION_COMMANDS + constants.UV_INSTALLATION_COMMANDS
print(
    json.dumps(
        {
            "installs": {name: installs(*where) for name, where in PACKAGES.items()},
            "hosts": sorted(set(re.findall(r"https?://([\w.-]+)", brings))),
            "endsWithSudo": [
                name for name, path in clouds.items() if "{{ ssh_max_sessions_config }}" in setup_of(path)
            ],
            "lastStep": constants.SET_SSH_MAX_SESSIONS_CONFIG_CMD,
            "sudoOfRoot": command_runner.ALIAS_SUDO_TO_EMPTY_FOR_ROOT_CMD,
            "dockerRuns": [docker_run(text) for text in json.load(sys.stdin)],
        }
    )
)
