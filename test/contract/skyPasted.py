"""SkyPilot's own rendering of pasted settings: reads cases as JSON from standard input, and prints the result
of each.

    [{"run_options": [...]}, {"sbatch_options": {...}}] → [{"commands": [...], "words": [...]}, {"directives":
    "...", "ignored": [...]}]
"""

import json
import pathlib
import re
import shlex
import sys

import jinja2
import sky
import yaml
from sky.provision import docker_utils
from sky.provision.slurm import instance

TEMPLATES = pathlib.Path(sky.__file__).parent / "templates"
# The part of a template from `run_options:` to the end of its loop.
LOOP = re.compile(r"^ *run_options:\n(?:.*\n)*?.*endfor.*\n", re.MULTILINE)


def parts():
    found = []
    for path in sorted(TEMPLATES.glob("*-ray.yml.j2")):
        match = LOOP.search(path.read_text())
        if match and "docker_run_options" in match.group():
            found.append(match.group())
    return found


def commands(options):
    made = set()
    for part in parts():
        text = jinja2.Template(part).render(docker_run_options=options, gpu_count=0, custom_resources=None)
        run_options = yaml.safe_load(text)["run_options"]
        own = run_options[len(run_options) - len(options) :]
        made.add(docker_utils.docker_start_cmds("image", "sky_container", own, "docker"))
    return sorted(made)


def answer(case):
    if "run_options" in case:
        words = [word for option in case["written"] for word in shlex.split(option)]
        return {"commands": commands(case["run_options"]), "words": words}
    directives = instance._build_custom_sbatch_directives(case["sbatch_options"])
    return {"directives": directives, "ignored": sorted(instance._SBATCH_PROTECTED_OPTIONS)}


assert len(parts()) > 5, "SkyPilot's templates have another form"
print(json.dumps([answer(case) for case in json.load(sys.stdin)]))
