"""Checks a node before its engines start on GPUs, and names all that is wrong at once: an engine says the
same after minutes of loading, in its own words, or not at all.

What makes the start useless is a problem: no driver, one that is too old, too few GPUs, a lost one, no RDMA
device where one is required. What may be harmless is a note, which `status` shows: Xid errors in the kernel's
log (the GPU may have been reset since), uncorrected ECC errors, memory in use or not alike, no RDMA.

Standard library only, Python 3.9 or later: it runs as the first step of `start.py`.
"""

import glob
import re
import shutil
import subprocess

import gpus

QUERY = "index,driver_version,memory.total,memory.used,mig.mode.current,ecc.errors.uncorrected.volatile.total"
TOOL_SECONDS = 60
# A share of a GPU's memory that the driver itself may use.
FREE_MEMORY = 0.95
# Makes one of NIXL's backends, as an engine does that hands over KV blocks.
NIXL = """import sys
try:
    from nixl._api import nixl_agent, nixl_agent_config
except Exception as error:
    print("NIXL cannot be loaded: %s" % error)
    sys.exit(3)
nixl_agent("node-check", nixl_agent_config(backends=[])).create_backend(sys.argv[1])"""
NOT_LOADED = 3
# Usual in a container.
UNREADABLE = "the kernel's log cannot be read, so Xid errors are not seen"
# Errors of the GPU, its memory and its links. The others come from programs, such as 13, 31 and 43:
# https://docs.nvidia.com/deploy/xid-errors/
XID = re.compile(r"NVRM: Xid \(([^)]*)\): (48|62|63|64|74|79|92|94|95|119|120|140|143|154)\b.*")
# In place of a value, of a GPU that no longer answers. Others, such as [N/A], are of one that has no such
# value.
BROKEN = re.compile(r"unknown error|is lost|requires reset|\bERR!", re.IGNORECASE)
# Transports of UCX that use RDMA: InfiniBand and RoCE (rc, dc, ud), and EFA (srd).
RDMA_TRANSPORT = re.compile(r"Transport: *(rc|dc|ud|srd)(_|\b)")
# Not on PATH in NVIDIA's images.
UCX = "/usr/local/ucx/bin"
# Of kernel modules: with the device files in /dev, which a container may lack, a process can use them.
DEVICES, DEVICE_FILES = "/sys/class/infiniband/*", "/dev/infiniband/uverbs*"


def gpus_of(specs):
    """The plan's numbers of the GPUs that programs use; none where all are mockers."""
    return sorted({gpu for spec in specs if gpus.OWN_GPUS in spec["env"].values() for gpu in spec["gpus"]})


def told_by(command, path=None):
    """(exit code, output) of a tool; None if there is none."""
    program = shutil.which(command[0], path=path)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, "no answer within %d s" % TOOL_SECONDS
    except OSError as error:
        return 126, str(error)
    return done.returncode, done.stdout.decode(errors="replace").strip()


def last_line(text):
    return (text.splitlines() or ["no output"])[-1].strip()


def check(used, env, driver=None, rdma=None, nixl=None):
    """(problems, notes) of this node; both empty where no program uses a GPU.

    @param used: the plan's numbers of the GPUs that are used, in order
    @param driver: lowest major version of NVIDIA's driver. Default: any
    @param rdma: `required` or `expected` where programs talk to other nodes or among each other. Default: not
        looked for
    @param nixl: NIXL's backend by which KV blocks are handed over. Default: not asked
    """
    if not used:
        return [], []
    problems, notes = gpu_findings(used, env, driver)
    if nixl is not None:
        missing, unseen = nixl_findings(nixl, env)
        problems, notes = problems + missing, notes + unseen
    if rdma is not None:
        missing = missing_rdma(env)
        if missing is not None and rdma == "required":
            problems.append(
                "no RDMA: %s, and KV blocks and collectives would go over TCP, many times slower. Nodes with "
                "RDMA were asked for (sky.networkTier: best); sky.rdma: optional accepts TCP" % missing
            )
        elif missing is not None:
            notes.append("no RDMA: %s. KV blocks and collectives go over TCP" % missing)
    return problems, notes + kernel_notes()


def nixl_findings(backend, env):
    told = told_by(["python3", "-c", NIXL, backend], env.get("PATH"))
    if told is None or told[0] == NOT_LOADED:
        why = "there is no python3" if told is None else last_line(told[1])
        return [], ["NIXL is not checked: %s" % why]
    if told[0] == 0:
        return [], []
    return [
        "NIXL cannot use its backend %s here, so KV blocks could not be handed over: %s. Choose another one "
        "(kvTransfer.backend), or an image that has it (sky.image)" % (backend, last_line(told[1]))
    ], []


def gpu_findings(used, env, driver):
    told = told_by(["nvidia-smi", "--query-gpu=" + QUERY, "--format=csv,noheader,nounits"])
    if told is None:
        return [], ["there is no nvidia-smi, so driver and GPUs are not checked"]
    code, text = told
    if "not a valid field" in text:
        return [], ["driver and GPUs are not checked: nvidia-smi says '%s'" % last_line(text)]
    if code != 0:
        return ["nvidia-smi ends with code %d: %s" % (code, last_line(text))], []
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == len(QUERY.split(","))]
    problems, notes = driver_problems(rows, driver), []
    entries = gpus.given(env)
    own = own_indices(used, entries)
    # A part of a GPU (MIG) is no row of its own.
    has_parts = any(row[4] == "Enabled" for row in rows)
    there = len(rows) if entries is None else len(entries)
    # CUDA stops at a number that is none of a GPU.
    if not has_parts and entries is not None:
        there = next((at for at, one in enumerate(entries) if one.isdigit() and int(one) >= len(rows)), there)
    if used[-1] >= there and not (has_parts and entries is None):
        problems.append(
            "the plan uses GPU %s of this node (counted from 0), and it has %d: ask for as many as "
            "cluster.gpusPerNode says" % (", ".join(map(str, used)), there)
        )
    rows = [row for row in rows if own is None or row[0] in own]
    sizes = sorted({int(row[2]) for row in rows if row[2].isdigit()})
    if len(sizes) > 1 and not has_parts:
        notes.append("its GPUs have %s MiB of memory: all are used as if they had the least" % sizes)
    for row in rows:
        index, _, total, taken, _, ecc = row
        broken = next((field for field in row if BROKEN.search(field)), None)
        if broken is not None:
            problems.append("GPU %s is broken: nvidia-smi says '%s' of it" % (index, broken))
        if ecc.isdigit() and int(ecc):
            notes.append("GPU %s has had %s uncorrected ECC errors since its last reset" % (index, ecc))
        if total.isdigit() and taken.isdigit() and int(taken) > (1 - FREE_MEMORY) * int(total):
            notes.append("GPU %s: %s of its %s MiB are in use already" % (index, taken, total))
    return problems, notes


def own_indices(used, entries):
    """nvidia-smi's numbers of the plan's GPUs; None where they are known by other names."""
    named = used if entries is None else [entries[gpu] for gpu in used if gpu < len(entries)]
    indices = [str(one) for one in named]
    return indices if all(one.isdigit() for one in indices) else None


def driver_problems(rows, driver):
    versions = sorted({row[1] for row in rows})
    old = [one for one in versions if driver is not None and not at_least(one, driver)]
    return [
        "NVIDIA's driver is %s, and this engine's CUDA needs %d or newer: update it, choose nodes that have "
        "it, or an image for this driver (sky.image)" % (one, driver)
        for one in old
    ]


def at_least(version, major):
    first = version.split(".")[0]
    return not first.isdigit() or int(first) >= major


def missing_rdma(env):
    """What of RDMA this node lacks; None if nothing."""
    if not glob.glob(DEVICES):
        return "%s has no device" % DEVICES[:-2]
    if not glob.glob(DEVICE_FILES):
        return "%s is not in this container" % DEVICE_FILES
    told = told_by(["ucx_info", "-d"], "%s:%s" % (env.get("PATH", ""), UCX))
    if told is not None and not RDMA_TRANSPORT.search(told[1]):
        return "'ucx_info -d' lists no transport for it (rc, dc, ud, srd)"
    return None


def kernel_notes():
    told = told_by(["dmesg"])
    if told is None or told[0] != 0:
        why = "there is no dmesg" if told is None else last_line(told[1])
        return ["%s (%s)" % (UNREADABLE, why)]
    latest = {}
    for match in XID.finditer(told[1]):
        latest[match[1], match[2]] = match[0]
    return ["the kernel has logged: %s" % line for line in latest.values()]


def ensure(used, env, driver=None, rdma=None, nixl=None):
    """Prints notes and problems. @returns what was found. @raises SystemExit if there is a problem."""
    problems, notes = check(used, env, driver, rdma, nixl)
    for note in notes:
        print("node check, note: " + note, flush=True)
    for problem in problems:
        print("node check, problem: " + problem, flush=True)
    if problems:
        raise SystemExit("this node cannot run what the plan asks of it: no engine is started")
    return [note for note in notes if not note.startswith(UNREADABLE)]
