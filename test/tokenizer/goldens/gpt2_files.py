"""Ids that Transformers gives for tokenizers without a tokenizer.json, as they were before it: vocab.json, merges.txt and what belongs to them.

    pip install transformers==4.57.1 tokenizers==0.22.1
    python gpt2_files.py > gpt2-files.json
"""

import json
import os
import tempfile

import transformers
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġ a"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGED = [merge.replace(" ", "") for merge in MERGES]
GPT2 = [*ALPHABET, *MERGED, "<|endoftext|>"]
BART = ["<s>", "<pad>", "</s>", "<unk>", *ALPHABET, *MERGED, "<mask>"]
N = len(GPT2)
FLAGS = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": True}
VERSION = "#version: 0.2\n"


def case(vocab, model_type="gpt2", merges=VERSION + "\n".join(MERGES) + "\n", **files):
    contents = {"vocab.json": {token: id for id, token in enumerate(vocab)}, "merges.txt": merges, "config.json": {"model_type": model_type}}
    return {**contents, **{f"{name}.json": content for name, content in files.items()}}


def decoder(*tokens):
    return {str(id): {**FLAGS, "content": content, "special": special, **flags} for id, content, special, flags in tokens}


MAP = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
CASES = {
    "the two files": case(GPT2),
    "merges without a version": case(GPT2, merges="\n".join(MERGES) + "\n"),
    "merges without a last line break": case(GPT2, merges=VERSION + "\n".join(MERGES)),
    "merges with line breaks of Windows": case(GPT2, merges=(VERSION + "\n".join(MERGES) + "\n").replace("\n", "\r\n")),
    "no end token in the vocabulary": case(GPT2[:-1]),
    "added tokens": case(
        GPT2,
        added_tokens={"hello there": N + 2, "<pad>": N, "<sep>": N + 1},
        special_tokens_map={**MAP, "pad_token": "<pad>", "additional_special_tokens": ["<sep>"]},
    ),
    "flags in the map": case(
        GPT2,
        added_tokens={"<pad>": N},
        special_tokens_map={**MAP, "pad_token": {**FLAGS, "content": "<pad>", "lstrip": True}, "mask_token": {**FLAGS, "content": "<m>", "rstrip": True}},
    ),
    "names in the config": case(GPT2, tokenizer_config={"eos_token": "</s>", "pad_token": "<pad>", "tokenizer_class": "GPT2Tokenizer"}),
    "a map over the config": case(GPT2, tokenizer_config={"pad_token": "<sep>"}, special_tokens_map={**MAP, "pad_token": "<pad>"}),
    "a decoder in the config": case(
        GPT2,
        tokenizer_config={
            "tokenizer_class": "GPT2Tokenizer",
            "pad_token": "<pad>",
            "added_tokens_decoder": decoder((N - 1, "<|endoftext|>", True, {}), (N, "<pad>", True, {"lstrip": True}), (N + 1, "zebra", False, {})),
        },
        special_tokens_map={**MAP, "pad_token": "<sep>"},
    ),
    "a space before": case(GPT2, tokenizer_config={"add_prefix_space": True}),
    "bart": case(BART, "bart"),
    "bart without a mask": case(BART[:-1], "bart"),
    "bart with a mask of its own": case(BART, "bart", tokenizer_config={"mask_token": "<m>"}),
    "roberta's class for a gpt2": case(BART, tokenizer_config={"tokenizer_class": "RobertaTokenizer"}),
}
TEXTS = [
    *["", "hello", "hello world, a hell", "hello there", "a <pad> b", "a <m> b", "x  <mask> y", "<|endoftext|>hello", "a</s>b<sep>c <unk>"],
    *["\u0085 \ufeffhello", "zebra zebras", "É 🍕\n\n \u3000a", "he's  hello   "],
]


def ids(files, fast):
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8", newline="") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
        tokenizer = AutoTokenizer.from_pretrained(directory, use_fast=fast)
        return [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS], tokenizer.encode("a")


def main():
    golden = {"transformers": transformers.__version__, "texts": TEXTS, "cases": {}}
    for name, files in CASES.items():
        (own, source), slow = ids(files, True), ids(files, False)
        differ = [TEXTS[i] for i, row in enumerate(slow[0]) if row != own[i]]
        golden["cases"][name] = {"files": files, "ids": [" ".join(map(str, row)) for row in own], "source": source, "slow_differs": differ}
    print(json.dumps(golden, indent=0))


main()
