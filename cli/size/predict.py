"""Asks NVIDIA's AIConfigurator which layouts of a model keep a promise, and what they would give.

Reads a question as JSON from standard input, times in milliseconds:
`{"model", "isl", "osl", "ttft", "tpot", "need", "node", "curve", "pairs": [{"backend", "system"}], "most"}`.
`need` is `{"gpus"}`, `{"rate"}` in requests a second, or `{"concurrency"}` in requests at a time; `node` is
the number of GPUs of a whole node; with `curve` there are also layouts with other times for each token.

Prints `{"known": […], "moe", "answers": [{"backend", "system", "version", "layouts": […], "curve": […],
"problems": […]}]}`. `known` are the models whose configuration AIConfigurator carries; `problem` is there
instead of `answers` where it cannot read the model at all, and `context`, the tokens that the model takes at
most, where a prompt and its answer have more. `kvTokens` of a role are the tokens that fit in the KV cache of
one of its attention groups, where AIConfigurator can tell.

AIConfigurator searches: https://github.com/ai-dynamo/aiconfigurator/blob/v0.12.0/src/aiconfigurator/cli/api.py
(`cli_default`). Its own choice (`pick_default`) may leave GPUs idle, and falls back to layouts that break the
promise, so the rows of its search are picked here.
"""

import contextlib
import dataclasses
import json
import logging
import math
import sys

ROLES = {"agg": [("aggregated", "")], "disagg": [("prefill", "(p)"), ("decode", "(d)")]}
SIZES = ["tp", "pp", "dp", "moe_tp", "moe_ep", "cp"]
QUANTIZED = ["gemm", "kvcache", "moe"]

# Times for each token that layouts are searched for, as parts of the promise; AIConfigurator's own 75, of 1
# to 295 ms (`_LEGACY_TPOT_SWEEP` in its sdk/task_v2.py), take minutes for a model with experts. A curve has
# more.
PARTS = [0.4, 0.6, 0.8, 1]
CURVE = [0.2, 0.3, 0.5, 0.7, 0.9, 1.25, 1.5, 2, 2.5, 3]
# Workers of a role that prefill and decode are matched with: its own default.
MOST_WORKERS = 32
# For a load, the GPUs of the largest replica, and of the smallest prefill and decode that fit each other.
# More only if nothing is found: most of the search is in vain for a small model.
BUDGETS = [16, 32]
# What AIConfigurator takes of the throughput of a worker when it matches prefill with decode:
# `_RATE_MATCH_PREFILL_DEGRADATION` and `_RATE_MATCH_DECODE_DEGRADATION` of its sdk/sweep.py.
MATCHED = {"(p)": 0.9, "(d)": 0.92}
# Tokens that an engine computes at once, which take memory too: of the order of every engine's default.
BATCHED_TOKENS = 8192
# GPUs of a deployment.
MOST_GPUS = 1024


def answer(question):
    from aiconfigurator_core.sdk.common import DefaultHFModels
    from aiconfigurator_core.sdk.models import check_is_moe
    from aiconfigurator_core.sdk.utils import get_model_config_from_model_path

    known = {"known": sorted(DefaultHFModels)}
    try:
        moe = bool(check_is_moe(question["model"]))
        context = int(get_model_config_from_model_path(question["model"])["context"])
    except Exception as error:  # whatever it raises: it cannot tell what the model is
        return {**known, "problem": first_line(error)}
    # It would search all the same, but an engine takes no such request.
    if question["isl"] + question["osl"] > context:
        return {**known, "context": context}
    return {**known, "moe": moe, "answers": [answer_of(question, **pair) for pair in question["pairs"]]}


def answer_of(question, backend, system):
    gpus = question["need"].get("gpus")
    for budget in [gpus] if gpus else BUDGETS:
        found = search(question, budget, backend, system)
        if found["layouts"]:
            break
    for layout in found["layouts"]:
        for role in layout["roles"]:
            role.update(cache_of(question["model"], system, backend, layout["version"], role))
    versions = [layout.pop("version") for layout in found["layouts"] + found["curve"]]
    return {"backend": backend, "system": system, "version": next(iter(versions), None), **found}


def search(question, budget, backend, system):
    from aiconfigurator.cli.main import build_default_tasks

    found = {"layouts": [], "curve": [], "problems": []}
    try:
        tasks = build_default_tasks(
            model_path=question["model"],
            total_gpus=budget,
            system=system,
            backend=backend,
            isl=question["isl"],
            osl=question["osl"],
            ttft=question["ttft"],
            tpot=question["tpot"],
        )
    except (Exception, SystemExit) as error:  # it exits where it has no data of the system
        found["problems"].append(first_line(error))
        return found
    for mode, task in tasks.items():
        try:
            rows = rows_of(task, question, budget, PARTS)
            kept = [row for row in rows if row["tpot"] <= question["tpot"]]
            layouts = best_of(mode, kept, question)
            found["layouts"] += layouts[: question["most"]]
            if question["curve"]:
                rows += rows_of(task, question, budget, CURVE)
                found["curve"] += fastest_of(mode, sorted(rows, key=throughput, reverse=True), question)
            if not layouts:
                where = "on these GPUs" if "gpus" in question["need"] else "for this load"
                found["problems"].append(f"{mode}: no layout within the promise {where}")
        except Exception as error:  # one of the two modes: the other may do
            found["problems"].append(f"{mode}: nothing within the promise was found ({reason_of(error)})")
    return found


def throughput(row):
    return row["tokens/s/gpu"]


def rows_of(task, question, budget, parts):
    """What the search finds, each row a replica, or a prefill and a decode side that match each other."""
    changes = {"pareto_sweep": False, "tpot": sorted(question["tpot"] * part for part in parts)}
    if task.serving_mode == "disagg":
        most = min(budget, MOST_WORKERS)
        changes["num_gpu_per_replica"] = [size for size in range(2, budget + 1) if budget % size == 0]
        changes.update(max_prefill_workers=most, max_decode_workers=most)
    rows = dataclasses.replace(task, **changes).run()
    if rows is None or rows.empty:
        return []
    rows = rows[rows["ttft"] <= question["ttft"]].sort_values("tokens/s/gpu", ascending=False, kind="stable")
    return rows.to_dict("records")


def best_of(mode, rows, question):
    """The best row of each layout that serves what is needed: the first of GPUs, the nearest of a load.

    Where prefill limits, rows of many batches carry the same: the fewest at a time have the shortest times.
    """
    layouts = [layout_of(mode, row, counts) for row in rows for counts in counts_of(mode, row, question)]
    fixed = {"batch": None}
    if "gpus" not in question["need"]:
        nearest = ["requestsPerSecond", "concurrency"]
        layouts.sort(key=lambda layout: (gpus_of(layout), *(layout[name] for name in nearest)))
        # More replicas of the same need no row of their own.
        fixed["replicas"] = None
    best = {}
    for layout in layouts:
        best.setdefault(json.dumps([{**role, **fixed} for role in layout["roles"]]), layout)
    return list(best.values())


def fastest_of(mode, rows, question):
    """Layouts of which none has both more tokens per GPU and a shorter time for each."""
    if "gpus" not in question["need"]:
        question = {**question, "need": {"rate": 0}}
    kept, shortest = [], math.inf
    for row in rows:
        if row["tpot"] >= shortest or number(row.get("(p)cp" if mode == "disagg" else "cp"), 1) > 1:
            continue
        found = counts_of(mode, row, question)
        if found:
            shortest = row["tpot"]
            kept.append(layout_of(mode, row, found[0]))
    return kept


def counts_of(mode, row, question):
    """Replicas of each role that serve what is needed and fill whole nodes: none, or one way."""
    need = question["need"]
    roles = [prefix for _, prefix in ROLES[mode]]
    first = [workers_of(row, prefix) for prefix in roles]
    if "gpus" in need:
        copies, rest = divmod(need["gpus"], int(row["num_total_gpus"]))
        return [] if rest or copies == 0 else [[count * copies for count in first]]
    # Clients that wait for their answers make one request each in the time that it takes.
    seconds = (row["ttft"] + row["tpot"] * max(question["osl"] - 1, 0)) / 1000
    rate = need["rate"] if "rate" in need else need["concurrency"] / seconds
    least = [max(1, math.ceil(rate / rate_of(mode, row, prefix))) for prefix in roles]
    sizes = [gpus_of_worker(row, prefix) for prefix in roles]
    return filled(least, sizes, question["node"])


def filled(least, sizes, node):
    """The fewest GPUs that are whole nodes, or 1, 2, 4 … of one, as clouds sell them."""
    needed = sum(count * size for count, size in zip(least, sizes, strict=True))
    parts = [2**power for power in range(node.bit_length() - 1)]
    whole = range(-(-needed // node) * node, MOST_GPUS + 1, node)
    for total in [*(part for part in parts if part >= needed), *whole]:
        spare = total - needed
        if len(sizes) == 1:
            if spare % sizes[0] == 0:
                return [[least[0] + spare // sizes[0]]]
            continue
        # The rest goes to decode first, which holds the requests.
        for decode in range(spare // sizes[1], -1, -1):
            rest = spare - decode * sizes[1]
            if rest % sizes[0] == 0:
                return [[least[0] + rest // sizes[0], least[1] + decode]]
    return []


def rate_of(mode, row, prefix):
    """Requests a second of one worker."""
    if mode == "agg":
        return float(row["request_rate"])
    return float(row[f"{prefix}seq/s/worker"]) * MATCHED[prefix]


def layout_of(mode, row, counts):
    """A row with other numbers of workers than its own."""
    roles = ROLES[mode]
    sides = [(role, prefix, count) for (role, prefix), count in zip(roles, counts, strict=True)]
    rate = min(rate_of(mode, row, prefix) * count for _, prefix, count in sides)
    gpus = sum(gpus_of_worker(row, prefix) * count for _, prefix, count in sides)
    # Requests are counted where their answers are written: by the last role.
    _, last, writers = sides[-1]
    return {
        "mode": mode,
        "version": str(row[f"{roles[0][1]}version"]),
        "roles": [role_of(row, *side) for side in sides],
        "ttft": float(row["ttft"]),
        "tpot": float(row["tpot"]),
        "tokensPerSecondPerGpu": float(row["tokens/s"]) * rate / float(row["request_rate"]) / gpus,
        "tokensPerSecondPerUser": float(row["tokens/s/user"]),
        "requestsPerSecond": rate,
        "concurrency": int(row["concurrency"]) * writers // workers_of(row, last),
    }


def role_of(row, role, prefix, count):
    sizes = {size: int(number(row.get(f"{prefix}{size}"), 1)) for size in SIZES}
    return {
        "role": role,
        "replicas": count,
        "tp": sizes["tp"],
        "pp": sizes["pp"],
        "dp": sizes["dp"],
        "moeTp": sizes["moe_tp"],
        "moeEp": sizes["moe_ep"],
        "cp": sizes["cp"],
        "batch": int(number(row.get(f"{prefix}bs"), 0)),
        "quantization": {name: str(row[f"{prefix}{name}"]) for name in QUANTIZED},
    }


def cache_of(model, system, backend, version, role):
    """Tokens in the KV cache of an attention group, if the engine takes its usual share of the memory.

    https://github.com/ai-dynamo/aiconfigurator/blob/v0.12.0/aic-core/src/aiconfigurator_core/sdk/memory.py
    """
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.memory import estimate_kv_cache

    try:
        engine = get_backend(backend)
        said = estimate_kv_cache(
            model,
            system,
            backend,
            version,
            max_num_tokens=BATCHED_TOKENS,
            max_batch_size=max(1, role["batch"]),
            memory_fraction_kind="of_free" if engine.memory_fraction_of_free() else "of_total",
            memory_fraction_value=engine.get_default_free_gpu_memory_fraction(version),
            tp_size=role["tp"],
            pp_size=role["pp"],
            attention_dp_size=role["dp"],
            moe_tp_size=role["moeTp"],
            moe_ep_size=role["moeEp"],
        )
        return {"kvTokens": int(said["total_kv_size_tokens"])}
    except Exception:  # the layout is good without: whoever wants the number is told that there is none
        return {}


def workers_of(row, prefix):
    return int(number(row.get(f"{prefix}workers"), 1))


def gpus_of_worker(row, prefix):
    return math.prod(int(number(row.get(f"{prefix}{size}"), 1)) for size in ["tp", "pp", "dp", "cp"])


def gpus_of(layout):
    sizes = ["replicas", "tp", "pp", "dp", "cp"]
    return sum(math.prod(role[size] for size in sizes) for role in layout["roles"])


def number(value, otherwise):
    """Cells that do not apply are None or NaN."""
    return otherwise if value is None or value != value else value


def reason_of(error):
    """Without what stands behind it: exceptions of single layouts, and advice with options of its own."""
    said = first_line(error)
    for end in [" Selected exception", " Try relaxing"]:
        said = said.split(end)[0]
    return said


def first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):  # it draws tables and progress bars
        said = answer(json.load(sys.stdin))
    json.dump(said, sys.stdout)
