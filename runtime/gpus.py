"""Which of the machine's GPUs the plan's numbers are: those that this node's programs were given.

The plan counts from 0, and so does CUDA where nothing is hidden. Where something has given a job some of a machine's GPUs and hides the others by
the environment alone (Slurm without `ConstrainDevices`, Ray), CUDA_VISIBLE_DEVICES says which, and the plan's 0 is the first of that list: an
index, a GPU's UUID or a MIG instance's. What CUDA makes of it:
https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html and for MIG
https://docs.nvidia.com/datacenter/tesla/mig-user-guide/

Not a list of CUDA's, and so not read: NVIDIA_VISIBLE_DEVICES (what a container was given, in which the GPUs are counted from 0 again);
SLURM_JOB_GPUS and SLURM_STEP_GPUS (numbers of the machine, also where a cgroup hides the others and CUDA counts from 0 again).

Standard library only, Python 3.9 or later, like `launch.py`.
"""

import re

VARIABLE = "CUDA_VISIBLE_DEVICES"
ENTRY = re.compile(r"\d+|(GPU|MIG)-[0-9A-Za-z/-]+")


class TooFew(Exception):
    """The plan uses GPUs that this node's programs do not have: a message for a person."""


def given(env):
    """The entries of the inherited list, as far as CUDA reads it; None where nothing is hidden."""
    if VARIABLE not in env:
        return None
    entries = []
    for entry in (part.strip() for part in env[VARIABLE].split(",")):
        # CUDA shows what stands before the first entry that it does not know, such as -1 or NoDevFiles.
        if not ENTRY.fullmatch(entry):
            break
        entries.append(entry)
    # Nothing at all where one is named twice.
    return entries if len(set(entries)) == len(entries) else []


def chosen(numbers, env):
    """The plan's numbers as CUDA_VISIBLE_DEVICES of a program.

    @raises TooFew when they are more than what is visible.
    """
    entries = given(env)
    if entries is None:
        return ",".join(map(str, numbers))
    if max(numbers) >= len(entries):
        raise TooFew(
            "the plan uses GPU %s of this node (counted from 0), and %s=%s in the node's environment shows %d: ask for as many GPUs "
            "as cluster.gpusPerNode says, or make that what a node has"
            % (", ".join(map(str, numbers)), VARIABLE, env[VARIABLE], len(entries))
        )
    return ",".join(entries[number] for number in numbers)
