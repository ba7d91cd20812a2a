"""The path of models copied from buckets, the same on all nodes. Standard library only, Python 3.9 or later.

Workers register the path of their model, and the frontend rejects a worker whose path differs ("Checksum for
new worker does not match"); the ranks of an MPI world get the path of rank 0. But the directories of nodes
differ.
"""

import os

import node

# In the node's directory, and in the one of all nodes beside it.
MODELS = "models"


def shared_path():
    return os.path.join(node.short_directory(), MODELS)


def share(node_dir):
    """Links the path to this node's models, and returns it.

    Clusters on one machine share the path. The last one to start a program owns the link, but its target has
    the same contents for all: a model's directory is named after its bucket.
    """
    path = shared_path()
    node.private_directory(os.path.dirname(path))
    partial = "%s.%d" % (path, os.getpid())
    os.symlink(os.path.realpath(os.path.join(node_dir, MODELS)), partial)
    os.replace(partial, path)
    return path
