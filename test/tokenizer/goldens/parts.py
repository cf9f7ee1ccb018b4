"""Ids that Hugging Face's tokenizers give for tokenizer.json files with other added tokens, normalizers and pre-tokenizers.

    pip install tokenizers==0.23.3
    python parts.py > parts.json
"""

import json
import random

import tokenizers
from tokenizers import Tokenizer, pre_tokenizers

MERGES = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["Ġ", "w"], ["Ġ", "a"], ["Ġ", "Ġ"]]
TOKENS = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in MERGES)]
END = {"id": 0, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
BASE = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [END],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "vocab": {token: id for id, token in enumerate(TOKENS)}, "merges": MERGES},
}


def added(*tokens):
    """Each token: its content and the flags that are set."""
    names = ["single_word", "lstrip", "rstrip", "normalized", "special"]
    flagged = [{"id": len(TOKENS) + i, "content": content, **{name: name in flags for name in names}} for i, (content, *flags) in enumerate(tokens)]
    return {"added_tokens": [END, *flagged]}


def regex(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def pre(*parts):
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*parts, bytes_only]}}


def normal(*parts):
    return {"normalizer": {"type": "Sequence", "normalizers": list(parts)}}


NEWER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BEHAVIORS = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
ALL_FLAGS = ["lstrip", "rstrip", "single_word", "special"]

CASES = {
    "single_word": added(("hello", "single_word"), ("<x>", "single_word", "special")),
    "lstrip": added(("<x>", "lstrip", "special")),
    "rstrip": added(("<x>", "rstrip", "special")),
    "all flags": added(("<x>", *ALL_FLAGS), ("a", *ALL_FLAGS)),
    "spaces": added(("  ", "lstrip"), ("\n", "lstrip")),
    "overlapping": added(("<x", "special"), ("<x><", "normalized"), ("x>", "special"), ("hello", "special"), ("he", "special")),
    "normalized": {**added(("É", "normalized"), ("<X>", "special"), ("hello", "normalized", "lstrip")), **normal({"type": "Lowercase"})},
    "bytes with a space": {"pre_tokenizer": {**BASE["pre_tokenizer"], "add_prefix_space": True}, **added(("<x>", "special"))},
    "bytes uncut": pre(),
    "newer": pre(regex(NEWER)),
    "digits": pre({"type": "Digits", "individual_digits": False}, regex(NEWER)),
    "each digit": pre({"type": "Digits", "individual_digits": True}),
    **{f"split {b}": pre(regex(r"\s|<x>|\d", b)) for b in BEHAVIORS},
    **{f"split {b} inverted": pre(regex(r"\p{L}+|\d", b, True)) for b in BEHAVIORS},
    "split literal": pre({"type": "Split", "pattern": {"String": "l"}, "behavior": "MergedWithNext", "invert": False}),
    "strip": normal({"type": "Strip", "strip_left": True, "strip_right": True}),
    "strip left": {**normal({"type": "Strip", "strip_left": True, "strip_right": False}), **added(("<x>", "special"))},
    "replace": normal({"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": "$&"}, {"type": "Replace", "pattern": {"String": "$"}, "content": "1"}),
    "prepend": normal({"type": "Prepend", "prepend": "hell"}),
    **{form: normal({"type": form}) for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]},
}

PIECES = [
    *["hello", "hell", " ", " ", "  ", "\n", "\t", "\u0085", "\ufeff", "\u00a0", "\u3000", "\u200b", "\u180e", "\r\n", "<x>", "<X>", "<x", ">", "a"],
    *["É", "É", "e\u0301", "ﬁ", "Σ", "ΑΣ ", "İ", "\u1e9e", "12", "345", "٣", "²", "Ⅷ", "'s", "'S", "'ſ", "can't", "_", "-", "!?", "<|endoftext|>"],
    *["\u088f", "\ua7d2", "\U000105d2\u0307", "\U000105c9", "\ua7f2", "\U0001e030", "\u32ff", "\u0301", "\u200d", "中文", "漢", "🍕", "🇩🇪", "\U00011de1"],
]


def texts(count):
    draw = random.Random(7)
    return ["", *PIECES, *("".join(draw.choices(PIECES, k=draw.randint(2, 9))) for _ in range(count))]


def encode(change, texts):
    tokenizer = Tokenizer.from_str(json.dumps({**BASE, **change}))
    return [" ".join(map(str, tokenizer.encode(text, add_special_tokens=False).ids)) for text in texts]


def differences(change, texts, plain):
    """The ids of those texts, by index, that have others than without the change."""
    ids = enumerate(encode(change, texts))
    return {"change": change, "ids": {i: row for i, row in ids if row != plain[i]}}


def main():
    golden = {"tokenizers": tokenizers.__version__, "base": BASE, "texts": texts(80)}
    golden["ids"] = plain = encode({}, golden["texts"])
    golden["cases"] = {name: differences(change, golden["texts"], plain) for name, change in CASES.items()}
    print(json.dumps(golden, indent=0))


main()
