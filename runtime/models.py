"""Models that came out of buckets, at one path on all nodes. Standard library only, Python 3.9 or later.

Workers tell the frontend the path of their model, and those with another path are refused as workers of another model ("Checksum for new worker does
not match"); ranks of an MPI world are told rank 0's. But nodes have directories and homes of their own.
"""

import os

import node

# In the node's directory, and in the one of all nodes beside it.
MODELS = "models"


def shared_path():
    return os.path.join("/tmp", "dynamo-sky-%d" % os.getuid(), MODELS)


def share(node_dir):
    """Makes the path lead to this node's models, and returns it.

    Clusters of one machine have the same path; the last one to start a program has it, and what it leads to is the same for all: a model's
    directory is named by the bucket that it came out of.
    """
    path = shared_path()
    node.private_directory(os.path.dirname(path))
    partial = "%s.%d" % (path, os.getpid())
    os.symlink(os.path.realpath(os.path.join(node_dir, MODELS)), partial)
    os.replace(partial, path)
    return path
