"""What SkyPilot's optimizer takes for tasks, one after the other, while each of its choices has no capacity.
Reads tasks (`num_nodes` and `resources`, as in YAML) as a JSON list from standard input, answers in JSON: for
each the choices, as `[infra, instance type, whether it is spot]`, or why there is none.

A launch does the same: `provision_with_retries` of
https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/backends/cloud_vm_ray_backend.py
blocks what it could not get, and optimizes again. Access to AWS and GCP is assumed; nothing is provisioned.
"""

import copy
import json
import sys

from sky import check as sky_check
from sky import clouds, exceptions, optimizer
from sky import dag as dag_lib
from sky import task as task_lib

MOST = 12


def choices_of(config):
    blocked, chosen = [], []
    # SkyPilot takes what it has read out of a task.
    while len(chosen) < MOST:
        task = task_lib.Task.from_yaml_config(copy.deepcopy(config))
        dag = dag_lib.Dag()
        dag.add(task)
        try:
            optimizer.Optimizer.optimize(dag, blocked_resources=blocked, quiet=True)
        except exceptions.ResourcesUnavailableError:
            return chosen
        best = task.best_resources
        place = [best.cloud.canonical_name(), best.region, best.zone]
        chosen.append(["/".join(part for part in place if part), best.instance_type, best.use_spot])
        blocked.append(best)
    return chosen


def main():
    enabled = [clouds.AWS(), clouds.GCP()]
    sky_check.get_cached_enabled_clouds_or_refresh = lambda *_, **__: enabled
    answers = []
    for config in json.load(sys.stdin):
        try:
            answers.append(choices_of(config))
        except Exception as error:  # SkyPilot's own refusal is the answer
            answers.append("%s: %s" % (type(error).__name__, error))
    print(json.dumps(answers))


main()
