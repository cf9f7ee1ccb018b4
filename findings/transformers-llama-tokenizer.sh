#!/usr/bin/env bash
# Transformers 5 reads one tokenizer.json with byte fallback in two ways, by the class that tokenizer_config.json names, and decodes an added token
# to more than its content.
#
# Version:    transformers 5.23.0, tokenizers 0.23.3.
# Documented: LlamaTokenizer's `legacy` and `add_prefix_space`; not that a tokenizer.json's normalizer, pre-tokenizer and decoder count for nothing then, nor that
#             a model_type of mistral makes them count.
# Cause:      LlamaTokenizer has a constructor of its own, which takes vocabulary, merges and post-processor of the file; the file is read as it is for all other
#             classes, and for model types whose registered class is another. tokenizers 0.23 keeps the normalized content of an added token that is
#             looked for in the normalized text, and decodes to that.
# Effect:     the same file has other ids behind a special token (a space more), and a text with such an added token comes back with a space more.
# Way out:    src/tokenizer/llama-class.ts does as Transformers does.
#
# Run with python3 with venv, not as part of the tests. Fails if it prints something else. Output of 2026-11-30:
#
# > PreTrainedTokenizerFast llama    a<s>b: 256 257 1 256 258
# > LlamaTokenizer          llama    a<s>b: 256 257 1 258
# > LlamaTokenizer, legacy  llama    a<s>b: 256 257 1 256 258
# > LlamaTokenizer          mistral  a<s>b: 256 257 1 256 258
# > <x> decoded: 'a <x>'
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
cd "$place"
trap 'rm -rf "$place"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --no-input transformers==5.23.0 tokenizers==0.23.3

cat >read.py <<'END'
import json, os, pathlib
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
for token, byte in (("<unk>", 0), ("<s>", 1), ("</s>", 2)):
    vocab.pop(f"<0x{byte:02X}>"), vocab.update({token: byte})
vocab |= {"▁": 256, "a": 257, "b": 258}
flags = {"single_word": False, "lstrip": False, "rstrip": False}
special = [{"id": i, "content": t, **flags, "normalized": False, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])]
added = special + [{"id": 259, "content": "<x>", **flags, "normalized": True, "special": False}]
steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
content = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "pre_tokenizer": None, "post_processor": None,
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "decoder": {"type": "Sequence", "decoders": [*steps, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
              "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": []},
}
for name, legacy, kind in [("PreTrainedTokenizerFast", False, "llama"), ("LlamaTokenizer", False, "llama"),
                           ("LlamaTokenizer", True, "llama"), ("LlamaTokenizer", False, "mistral")]:
    directory = pathlib.Path(f"{name}-{legacy}-{kind}")
    directory.mkdir()
    files = {"tokenizer": content, "tokenizer_config": {"tokenizer_class": name, "legacy": legacy}, "config": {"model_type": kind}}
    for file, what in files.items():
        (directory / f"{file}.json").write_text(json.dumps(what))
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids = tokenizer("a<s>b", add_special_tokens=False).input_ids
    print(f"{name + (', legacy' if legacy else ''):24}{kind:8} a<s>b:", *ids)
    if name == "PreTrainedTokenizerFast":
        decoded = tokenizer.decode([257, 259])
print(f"<x> decoded: {decoded!r}")
END
venv/bin/python read.py 2>errors | tee output || { cat errors; exit 1; }
sed -n 's/^# > //p' "$script" | diff - output
