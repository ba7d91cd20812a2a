"""Asks NVIDIA's AIConfigurator what layouts of a model give under loads.

Reads a list of questions as JSON from standard input, each about one layout:
`{"model", "backend", "system", "roles": [{"role", "replicas", "tp", "pp", "dp", "moeEp"}],
"loads": [{"isl", "osl", "prefix", "batch"}]}`. `prefix` are the tokens of a prompt that a cache has; `batch`
is the number of requests at a time in each attention group of the role that writes the answers. A prefill
role may have a `batch` of its own: the prompts that each of its attention groups takes at once.

Prints a list of answers `{"version", "estimates": […]}`, for each load `{"ttft", "tpot", "tokensPerSecond",
"requestsPerSecond", "warning"}` with times in milliseconds, or `{"problem"}`. Where it cannot read the model
at all there is only `{"problem"}`.

https://github.com/ai-dynamo/aiconfigurator/blob/v0.12.0/src/aiconfigurator/cli/api.py (`cli_estimate`)
"""

import contextlib
import json
import logging
import sys

from predict import first_line

# A prefill worker takes one prompt after the other, unless it is told: more at a time are not sooner done.
PREFILL_BATCH = 1


def answer(question):
    from aiconfigurator_core.sdk.models import check_is_moe

    try:
        moe = bool(check_is_moe(question["model"]))
    except Exception as error:  # whatever it raises: it cannot tell what the model is
        return {"problem": first_line(error)}
    found = [estimate(question, load, moe) for load in question["loads"]]
    return {
        "version": next((one["version"] for one in found if "version" in one), None),
        "estimates": [{key: one[key] for key in one if key != "version"} for one in found],
    }


def estimate(question, load, moe):
    from aiconfigurator.cli.api import cli_estimate

    roles = {role["role"]: role for role in question["roles"]}
    common = {
        "backend_name": question["backend"],
        "isl": load["isl"],
        "osl": load["osl"],
        "prefix": load["prefix"],
    }
    try:
        if "aggregated" in roles:
            role = roles["aggregated"]
            said = cli_estimate(
                question["model"],
                question["system"],
                batch_size=load["batch"],
                **sizes_of(role, "", moe),
                **common,
            )
            # It is of one replica.
            copies = role["replicas"]
        else:
            prefill, decode = roles["prefill"], roles["decode"]
            said = cli_estimate(
                question["model"],
                question["system"],
                mode="disagg",
                prefill_batch_size=prefill.get("batch", PREFILL_BATCH),
                prefill_num_workers=prefill["replicas"],
                decode_batch_size=load["batch"],
                decode_num_workers=decode["replicas"],
                **sizes_of(prefill, "prefill_", moe),
                **sizes_of(decode, "decode_", moe),
                **common,
            )
            copies = 1
    except (Exception, SystemExit) as error:  # one load, that does not fit: others may
        return {"problem": first_line(error)}
    return {
        "version": said.backend_version,
        "ttft": float(said.ttft),
        "tpot": float(said.tpot),
        "tokensPerSecond": float(said.raw["tokens/s"]) * copies,
        "requestsPerSecond": float(said.raw["request_rate"]) * copies,
        **({} if said.kv_cache_warning is None else {"warning": first_line(said.kv_cache_warning)}),
    }


def sizes_of(role, prefix, moe):
    sizes = {"tp": role["tp"], "pp": role["pp"], "attention_dp": role["dp"]}
    if moe:
        sizes["moe_ep"] = role["moeEp"]
    return {f"{prefix}{name}_size": size for name, size in sizes.items()}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):  # it draws tables and progress bars
        said = [answer(question) for question in json.load(sys.stdin)]
    json.dump(said, sys.stdout)
