"""What Hugging Face's tokenizers make of every code point: how they cut it off its neighbours, and where they strip it.

    pip install tokenizers==0.23.3
    python unicode.py > unicode.json

`python unicode.py --unassigned` prints the runs of src/tokenizer/unassigned.ts.
"""

import json
import sys

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

ALL = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# The expression of GPT-4's tokenizer, which others took over; and the classes by themselves.
NEWER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLASSES = r"\p{Lu}|\p{M}|\p{P}|\p{Sc}|\p{Han}"

# Each character stands beside a letter, a number, a sign and a space.
CUTS = {
    "bytes": (pre_tokenizers.ByteLevel(add_prefix_space=False), "a{}1{}!{} {}b {}"),
    "newer": (pre_tokenizers.Split(Regex(NEWER), "isolated"), "a{}1{}!{} {}b '{}s"),
    "classes": (pre_tokenizers.Split(Regex(CLASSES), "isolated"), "\u0001{}\u0001"),
}


def base36(n):
    digits = ""
    while True:
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36] + digits
        n //= 36
        if n == 0:
            return digits


def runs(outcome):
    """Runs of code points with one outcome: the distinct outcomes, and alternately the index of one and how many have it."""
    outcomes, numbers = {}, []
    for character in ALL:
        index = outcomes.setdefault(outcome(character), len(outcomes))
        if numbers and numbers[-2] == index:
            numbers[-1] += 1
        else:
            numbers += [index, 1]
    return {"outcomes": list(outcomes), "runs": " ".join(map(base36, numbers))}


def cut(pre_tokenizer, context):
    """Lengths of the pieces that a text with the character in it is cut into."""

    def outcome(character):
        pieces = pre_tokenizer.pre_tokenize_str(context.replace("{}", character))
        return " ".join(str(end - start) for _, (start, end) in pieces)

    return {"context": context, **runs(outcome)}


def added(contexts, outcome, **flags):
    """What is found beside an added token, which has id 1."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([tokenizers.AddedToken("<x>", normalized=False, **flags)])
    return runs(lambda character: all(outcome(tokenizer.encode(c.replace("{}", character))) for c in contexts))


def is_dropped(encoding):
    return any(id == 1 and end - start == 4 for id, (start, end) in zip(encoding.ids, encoding.offsets))


def main():
    if "--unassigned" in sys.argv:
        split = pre_tokenizers.Split(Regex(r"\p{Cn}"), "isolated")
        lengths = runs(lambda c: len(split.pre_tokenize_str(f"a{c}a")))
        print(lengths["runs"])
        return
    golden = {name: cut(*of) for name, of in CUTS.items()}
    golden["patterns"] = {"newer": NEWER, "classes": CLASSES}
    golden["stripped"] = runs(lambda c: normalizers.Strip().normalize_str(f"{c}a{c}") == "a")
    golden["dropped"] = added(["a{}<x>a", "a<x>{}a"], is_dropped, lstrip=True, rstrip=True)
    golden["words"] = added(["a{}<x>", "<x>{}a"], lambda encoding: 1 in encoding.ids, single_word=True)
    golden["tokenizers"] = tokenizers.__version__
    print(json.dumps(golden, indent=1))


main()
