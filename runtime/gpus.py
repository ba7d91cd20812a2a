"""Maps the plan's GPU numbers to the GPUs that this node's programs were allotted.

The plan counts from 0, and so does CUDA if all GPUs are visible. If a scheduler allots some of a machine's
GPUs to a job and hides the others by the environment alone (Slurm without `ConstrainDevices`, Ray), they are
listed in CUDA_VISIBLE_DEVICES, and the plan's 0 is the first entry of that list: an index, a GPU's UUID or a
MIG instance's. CUDA's rules:
https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html and for MIG
https://docs.nvidia.com/datacenter/tesla/mig-user-guide/

Not CUDA's, and so ignored: NVIDIA_VISIBLE_DEVICES (GPUs of a container, in which they are counted from 0
again); SLURM_JOB_GPUS and SLURM_STEP_GPUS (numbers of the machine, even if a cgroup hides the others and CUDA
counts from 0 again).

Standard library only, Python 3.9 or later, like `launch.py`.
"""

import re

VARIABLE = "CUDA_VISIBLE_DEVICES"
# The value of a variable that gives a program its GPUs: `OWN_GPUS` of lib/placeholders.ts.
OWN_GPUS = "{{GPUS}}"
ENTRY = re.compile(r"\d+|(GPU|MIG)-[0-9A-Za-z/-]+")


class TooFew(Exception):
    """The plan uses more GPUs than this node's programs have."""


def given(env):
    """The entries of the inherited list that CUDA uses; None if all GPUs are visible."""
    if VARIABLE not in env:
        return None
    entries = []
    for entry in (part.strip() for part in env[VARIABLE].split(",")):
        # CUDA uses the entries before the first invalid one, such as -1 or NoDevFiles.
        if not ENTRY.fullmatch(entry):
            break
        entries.append(entry)
    # With a duplicate entry CUDA shows no GPU.
    return entries if len(set(entries)) == len(entries) else []


def chosen(numbers, env):
    """CUDA_VISIBLE_DEVICES of a program, from the plan's numbers.

    @raises TooFew if they exceed the visible GPUs.
    """
    entries = given(env)
    if entries is None:
        return ",".join(map(str, numbers))
    if max(numbers) >= len(entries):
        raise TooFew(
            "the plan uses GPU %s of this node (counted from 0), and %s=%s in the node's environment shows "
            "%d: ask for as many GPUs as cluster.gpusPerNode says, or make that what a node has"
            % (", ".join(map(str, numbers)), VARIABLE, env[VARIABLE], len(entries))
        )
    return ",".join(entries[number] for number in numbers)
