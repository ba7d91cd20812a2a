"""Stand-in for TensorRT-LLM's process on each MPI rank. The MPI is real: every rank connects to all others
and receives work.

Rank 0 collects data about all ranks over MPI, as TensorRT-LLM distributes its work, prints it as a line of
JSON, and waits until the given file appears. All others wait for work, like TensorRT-LLM's. Nothing is
computed.
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
