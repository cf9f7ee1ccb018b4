"""Ids and texts that Transformers gives for a small BPE with byte fallback, trained here on generated text, as its files say in several ways.

    pip install transformers==5.23.0 tokenizers==0.23.3
    python byte_fallback.py > byte-fallback.json
"""

import hashlib
import json
import pathlib
import random
import tempfile

import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SPACE = "▁"
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def corpus(draw):
    """Sentences of made-up words, with digits, punctuation and some letters that are not ASCII."""
    syllables = ["he", "llo", "wor", "ld", "ba", "né", "zu", "ki", "тра", "ing", "er", "12", "0"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(60)]
    return ["  ".join(" ".join(draw.choices(words, k=5)) + draw.choice(".!,") for _ in range(3)) for _ in range(60)]


def train():
    """Vocabulary and merges as Llama 2 has them: special tokens, bytes, then what was learned."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, split=True)
    trainer = trainers.BpeTrainer(vocab_size=160, show_progress=False)
    tokenizer.train_from_iterator(corpus(random.Random(11)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    learned = sorted(model["vocab"], key=model["vocab"].get)
    runs = [[SPACE, SPACE], [SPACE * 2, SPACE * 2], [SPACE * 2, SPACE]]
    merges = runs + [merge for merge in model["merges"] if merge not in runs]
    tokens = dict.fromkeys([*SPECIAL, *BYTES, *learned, *("".join(merge) for merge in merges)])
    return {token: id for id, token in enumerate(tokens)}, merges


VOCAB, MERGES = train()


def added(content, id, **flags):
    names = ["single_word", "lstrip", "rstrip", "normalized"]
    return {"id": id, "content": content, **{name: False for name in names}, "special": True, **flags}


def decoder(*last):
    replace = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    return {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, *last]}


STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
SPECIAL_TOKENS = [added(content, id) for id, content in enumerate(SPECIAL)]
MORE = [
    added("<x>", len(VOCAB), special=False, normalized=True),
    added("<y>", len(VOCAB) + 1, lstrip=True, rstrip=True),
    added("[INST]", len(VOCAB) + 2, special=False),
]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
FIRST = {"SpecialToken": {"id": "<s>", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
BASE = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": SPECIAL_TOKENS,
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, REPLACE]},
    "pre_tokenizer": None,
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [FIRST, TEXT],
        "pair": [FIRST, TEXT, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    },
    "decoder": decoder(STRIP),
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": VOCAB,
        "merges": MERGES,
    },
}

FILE = {"tokenizer_class": "PreTrainedTokenizerFast"}
LLAMA = {"tokenizer_class": "LlamaTokenizer"}


def metaspace(scheme, split):
    return {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}}


def listed(*tokens):
    return {"added_tokens_decoder": {token["id"]: {key: token[key] for key in token if key != "id"} for token in tokens}}


# Of each case: what is changed of tokenizer.json, tokenizer_config.json, and model_type.
CASES = {
    "as the file says": ({}, FILE, "llama"),
    "LlamaTokenizer": ({}, LLAMA, "llama"),
    "LlamaTokenizerFast, legacy": ({}, {"tokenizer_class": "LlamaTokenizerFast", "legacy": True}, "llama"),
    "LlamaTokenizer, not legacy": ({}, {**LLAMA, "legacy": False}, "llama"),
    "LlamaTokenizer without a first space": ({}, {**LLAMA, "add_prefix_space": False}, "llama"),
    "LlamaTokenizer of a Mistral": ({}, {**LLAMA, "legacy": True}, "mistral"),
    "added tokens, as the file says": ({"added_tokens": SPECIAL_TOKENS + MORE}, FILE, "llama"),
    "added tokens, LlamaTokenizer": ({"added_tokens": SPECIAL_TOKENS + MORE}, {**LLAMA, "pad_token": "<pad>"}, "llama"),
    "added tokens, legacy": ({"added_tokens": SPECIAL_TOKENS + MORE}, {**LLAMA, "legacy": True}, "llama"),
    "listed tokens, LlamaTokenizer": ({"added_tokens": SPECIAL_TOKENS + MORE}, {**LLAMA, **listed(*SPECIAL_TOKENS, *MORE[1:2])}, "llama"),
    "special tokens in the normalized text": ({"added_tokens": [{**token, "normalized": True} for token in SPECIAL_TOKENS]}, FILE, "llama"),
    "Metaspace, first": (metaspace("first", False), FILE, "llama"),
    "Metaspace, always, split": (metaspace("always", True), FILE, "llama"),
    "Metaspace, never": ({**metaspace("never", False), "decoder": decoder()}, FILE, "llama"),
    "spaces only replaced, words cut": (
        {
            "normalizer": REPLACE,
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
            "decoder": decoder(),
            "model": {**BASE["model"], "ignore_merges": True},
        },
        FILE,
        "llama",
    ),
}

PIECES = [
    *["hello", "world", " he", " ba", "12", "0", ".", "!", " ", "  ", "   ", " " * 9, "\n", "\t", "\r\n", SPACE, SPACE * 3],
    *["é", "né", "e\u0301", "中文", "漢", "🍕", "🇩🇪", "тра", "\u0000", "\u007f", "\u0085", "\u00a0", "\u3000", "\ufeff", "\ufffd"],
    *["<s>", "</s>", "<unk>", "<x>", "<y>", "[INST]", "<pad>", "<0x41>", "<0xE2>", "a", "Q", "aaaa", "heheheheh", "ing er"],
]


def texts(count):
    draw = random.Random(7)
    drawn = ["".join(draw.choices(PIECES, k=draw.randint(2, 9))) for _ in range(count)]
    return ["", *PIECES, *drawn, *(" " * k + "he" + " " * k for k in range(2, 20, 5))]


def load(change, config, model_type):
    with tempfile.TemporaryDirectory() as directory:
        files = {"tokenizer.json": {**BASE, **change}, "tokenizer_config.json": config, "config.json": {"model_type": model_type}}
        for name, content in files.items():
            (pathlib.Path(directory) / name).write_text(json.dumps(content))
        return transformers.AutoTokenizer.from_pretrained(directory)


def run(case, texts):
    change, config, model_type = case
    tokenizer = load(*case)
    ids = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    rows = [[" ".join(map(str, own)), tokenizer.decode(own)] for own in ids]
    model = {key: value for key, value in change.get("model", {}).items() if value != BASE["model"][key]}
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    every = " ".join(map(str, tokenizer(everything, add_special_tokens=False).input_ids))
    changed = {**change, **({"model": model} if model else {})}
    return {"change": changed, "config": config, "modelType": model_type, "source": tokenizer("he").input_ids, "every": hashlib.sha256(every.encode()).hexdigest(), "rows": rows}


def main():
    golden = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "base": BASE, "texts": texts(60)}
    golden["cases"] = {name: run(case, golden["texts"]) for name, case in CASES.items()}
    plain = golden["cases"]["as the file says"]["rows"]
    for name, case in golden["cases"].items():
        if name != "as the file says":
            case["rows"] = {i: row for i, row in enumerate(case["rows"]) if row != plain[i]}
    print(json.dumps(golden, indent=0))


main()
