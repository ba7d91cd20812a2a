"""Stands in for the process that TensorRT-LLM runs as each MPI rank. The MPI is real: every rank meets all others and is told the work to do.

Rank 0 has all ranks say what they know of themselves, over MPI as TensorRT-LLM hands out its work, prints it as a line of JSON, and waits until
the file that it is given appears. All others wait for work, as TensorRT-LLM's do. Nothing is computed.
"""

import json
import os
import sys
import time

from mpi4py import MPI
from mpi4py.futures import MPICommExecutor


def about_me(_=None):
    MPI.COMM_WORLD.Get_name()
    return {
        "rank": MPI.COMM_WORLD.Get_rank(),
        "world": int(os.environ["STAND_IN_SIZE"]),
        "pid": os.getpid(),
        "node": os.environ["NODE_IP"],
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "stranger": sorted(name for name in os.environ if name.startswith("SLURM")),
    }


if __name__ == "__main__":
    with MPICommExecutor(MPI.COMM_WORLD) as executor:
        if executor is not None:
            ranks = [about_me(), *executor.starmap(about_me, [()] * executor.num_workers)]
            print("ranks " + json.dumps(ranks), flush=True)
            while not os.path.exists(sys.argv[1]):
                time.sleep(0.1)
