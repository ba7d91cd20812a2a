"""Writes a model's shape into a Hugging Face cache, for engines that fill it with random weights
(`--load-format dummy`): the real dimensions, and a small tokenizer with as many more words as the real
vocabulary has tokens, so that every token the engine may choose is text.

    shape.py CONFIG.json TOKENIZER_DIR HF_HOME MODEL

CONFIG.json is the model's own configuration; TOKENIZER_DIR has a small `tokenizer.json`, such as
`npm run setup` makes.
"""

import json
import os
import shutil
import sys

# Of no revision of any model.
REVISION = "0" * 40


def padded(tokenizer, size):
    """The tokenizer with words of its own up to a number of tokens."""
    vocabulary = tokenizer["model"]["vocab"]
    taken = {*vocabulary.values(), *(one["id"] for one in tokenizer["added_tokens"])}
    more = {"\u0120w%d" % number: number for number in range(size) if number not in taken}
    model = {**tokenizer["model"], "vocab": {**vocabulary, **more}}
    return {**tokenizer, "model": model}


def write(config_file, small, hf_home, name):
    with open(config_file, encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(small, "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    with open(os.path.join(small, "config.json"), encoding="utf-8") as file:
        ends = {key: value for key, value in json.load(file).items() if key.endswith("_token_id")}
    folder = os.path.join(hf_home, "hub", "models--" + name.replace("/", "--"))
    snapshot = os.path.join(folder, "snapshots", REVISION)
    os.makedirs(snapshot)
    os.makedirs(os.path.join(folder, "refs"))
    files = {"config.json": {**config, **ends}, "tokenizer.json": padded(tokenizer, config["vocab_size"])}
    for file_name, content in files.items():
        with open(os.path.join(snapshot, file_name), "w", encoding="utf-8") as file:
            json.dump(content, file)
    for other in ("tokenizer_config.json", "generation_config.json"):
        shutil.copyfile(os.path.join(small, other), os.path.join(snapshot, other))
    with open(os.path.join(folder, "refs", "main"), "w", encoding="utf-8") as file:
        file.write(REVISION)
    return snapshot


if __name__ == "__main__":
    print(write(*sys.argv[1:]))
