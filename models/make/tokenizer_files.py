"""Saves a tokenizer in the form that every Transformers from 4.30 on opens, whatever Transformers is installed here."""

import json
from pathlib import Path


def save_tokenizer(tokenizer, out):
    """As `save_pretrained` of Transformers 5, but for its class and its merges, which Transformers 4 does not know."""
    tokenizer.save_pretrained(out)
    config = read(out, "tokenizer_config.json")
    for name in ["backend", "is_local", "local_files_only"]:
        config.pop(name, None)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["model_input_names"] = ["input_ids", "attention_mask"]  # else Transformers 4 has a GPT-2 add token types to its input
    content = read(out, "tokenizer.json")
    for token in content["added_tokens"]:
        if token["lstrip"] and config.get("mask_token") == token["content"]:
            config["mask_token"] = {"__type": "AddedToken", **{name: token[name] for name in token if name not in ("id", "special")}}
    merges = content["model"]["merges"]
    content["model"]["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    write(out, "tokenizer_config.json", dict(sorted(config.items())), "\n", ascii=True)
    write(out, "tokenizer.json", content, "")


def read(out, name):
    return json.loads((Path(out) / name).read_text(encoding="utf-8"))


def write(out, name, content, end, ascii=False):
    (Path(out) / name).write_text(json.dumps(content, indent=2, ensure_ascii=ascii) + end, encoding="utf-8")
