"""Builds a small tokenizer and model configuration in the layout of the Hugging Face hub's cache.

For machines that cannot reach the hub: Dynamo's frontend and mocker look up a model by name in that cache and
need its tokenizer and configuration, but no weights. The same corpus always gives the same files.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 4096
CONTEXT_LENGTH = 40960
END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

# ChatML, the format of the Qwen models. The content of a message is a text or a list of parts.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] or [] %}{{ part['text'] or '' }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train(corpus: pathlib.Path) -> Tokenizer:
    """Byte-level BPE with the whole byte alphabet, so that any text round-trips."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([corpus.read_text(encoding="utf-8")], trainer)
    return tokenizer


def files(tokenizer: Tokenizer) -> dict[str, str]:
    """The text of all files of the snapshot, by name."""
    end, pad = tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "bos_token_id": pad,
        "eos_token_id": end,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": 512,
        "intermediate_size": 1024,
        "max_position_embeddings": CONTEXT_LENGTH,
        "num_attention_heads": 8,
        "num_hidden_layers": 4,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": tokenizer.get_vocab_size(),
    }
    tokenizer_config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": TURN_END,
        "model_max_length": CONTEXT_LENGTH,
        "pad_token": END_OF_TEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    generation_config = {"bos_token_id": pad, "eos_token_id": [end, pad], "pad_token_id": pad}
    result = {
        "config.json": config,
        "generation_config.json": generation_config,
        "tokenizer_config.json": tokenizer_config,
    }
    texts = {name: json.dumps(value, indent=2) + "\n" for name, value in result.items()}
    return {**texts, "tokenizer.json": tokenizer.to_str(pretty=True)}


def write(model: pathlib.Path, texts: dict[str, str]) -> None:
    """Writes the snapshot under its content's digest atomically, then the reference to it."""
    content = "".join(f"{name}\n{texts[name]}" for name in sorted(texts))
    revision = hashlib.sha1(content.encode()).hexdigest()
    snapshots, refs = model / "snapshots", model / "refs"
    snapshots.mkdir(parents=True, exist_ok=True)
    refs.mkdir(exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=".tmp-", dir=snapshots))
    temporary.chmod(0o755)
    for name, text in texts.items():
        (temporary / name).write_text(text, encoding="utf-8")
    shutil.rmtree(snapshots / revision, ignore_errors=True)
    os.rename(temporary, snapshots / revision)
    (refs / "main").write_text(revision, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=pathlib.Path, required=True, help="the directory that is HF_HOME")
    parser.add_argument("--directory", required=True, help="models--Organisation--Name")
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="text to train on, UTF-8")
    arguments = parser.parse_args()
    write(arguments.home / "hub" / arguments.directory, files(train(arguments.corpus)))


if __name__ == "__main__":
    main()
