"""What SkyPilot's templates make of values that they put into YAML as they are, and its rules for labels. Reads cases as JSON from
standard input, `{"kind": …, "value": …}`, and writes what each line with it is read as, by every template that has one; for labels
`{"kind": "label", "name": …, "value": …}` whether each cloud takes them; for logins the words that `docker login` gets.
"""

import json
import pathlib
import re
import shlex
import sys

import jinja2
import sky
import yaml
from sky.utils.registry import CLOUD_REGISTRY

TEMPLATES = {path.name: path.read_text() for path in sorted((pathlib.Path(sky.__file__).parent / "templates").glob("*-ray.yml.j2"))}
VARIABLES = {
    "image": ["docker_image", "image_id"],
    "instanceType": ["instance_type", "worker_instance_type"],
    "context": ["k8s_context"],
    "partition": ["slurm_partition"],
}
LOGIN = re.compile(r"^ *docker_login_config:\n(?:.*\n){6}", re.MULTILINE)


def lines_with(variable):
    found = {line.strip().lstrip("- ") for text in TEMPLATES.values() for line in text.splitlines() if re.search(r"\{\{ *%s *\}\}" % variable, line)}
    # Without comments, which are of the template.
    return [re.sub(r"  #.*", "", line) for line in sorted(found) if re.match(r"[\w]+: *\"?\{\{", line)]


LINES = {variable: lines_with(variable) for variables in VARIABLES.values() for variable in variables}
LABELS = sorted({part.group(1) for text in TEMPLATES.values() for part in re.finditer(r"\n( *(?:- Key: )?\{\{ label_key \}\}.*\n)", text)})


def as_text(value):
    return value if isinstance(value, str) else repr(value)


def read(text):
    try:
        return as_text(list(yaml.safe_load(text).values())[0])
    except Exception as error:
        return "%s" % type(error).__name__


def plain(case):
    names = VARIABLES[case["kind"]]
    return [read(jinja2.Template(line).render({name: case["value"]})) for name in names for line in LINES[name]]


def label(case):
    made = []
    for part in LABELS:
        text = jinja2.Template(part).render(label_key=case["name"], label_value=case["value"])
        try:
            parsed = yaml.safe_load(text)
            made.append(as_text(parsed[0]["Key"] if isinstance(parsed, list) else list(parsed)[0]))
        except Exception as error:
            made.append(type(error).__name__)
    taken = {name: CLOUD_REGISTRY.from_str(name).is_label_valid(case["name"], case["value"])[0] for name in ("aws", "gcp", "kubernetes", "azure")}
    return {"names": made, "taken": taken}


def login(case):
    """As `docker_utils` makes the command of what the templates hand over."""
    block = LOGIN.search(TEMPLATES["aws-ray.yml.j2"]).group()
    parsed = yaml.safe_load(jinja2.Template(block).render(docker_login_config={"username": case["username"], "password": "p", "server": case["server"]}))
    made = parsed["docker_login_config"]
    return shlex.split("login --username %s %s" % (shlex.quote(made["username"]), shlex.quote(made["server"])))


def bucket(case):
    """What a task copies from a store, as SkyPilot reads it."""
    from sky import task as task_lib

    task = task_lib.Task.from_yaml_config(yaml.safe_load(case["task"]))
    return [[storage.source, storage.mode.value] for storage in task.storage_mounts.values()]


KINDS = {"label": label, "login": login, "bucket": bucket}
heeding = {
    "labels": r"label_key|\{\{ *labels",
    "diskSize": r"\{\{ *disk_size",
    "runOptions": "docker_run_options",
}
assert all(LINES.values()) and LABELS, "SkyPilot's templates have another form"
print(
    json.dumps(
        {
            "answers": [KINDS.get(case["kind"], plain)(case) for case in json.load(sys.stdin)],
            "heeding": {
                setting: sorted(name.replace("-ray.yml.j2", "") for name, text in TEMPLATES.items() if re.search(pattern, text))
                for setting, pattern in heeding.items()
            },
            # What reads the size of a disk on Slurm.
            "slurmReads": any("disk_size" in path.read_text() for path in (pathlib.Path(sky.__file__).parent / "provision" / "slurm").glob("*.py")),
        }
    )
)
