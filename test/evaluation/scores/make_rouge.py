"""Precision, recall and F-measure of rouge-score, and NLTK's stems: writes rouge.json beside this file.

    pip install nltk==3.10.4 rouge-score==0.1.2 && python make_rouge.py
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

WORDS = "the a boat boats Boat boating sails sailed sailing harbour harbours happily happy flies tied x1 10 don't naïve İzmir K2 Σας 𝔸bc constructor".split()
SEPARATORS = [" ", " ", "\n", "\t", "\r\n", ", ", "-"]
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def salad(draw):
    separators = draw.choice([[" "], SEPARATORS])
    words = [draw.choice(WORDS) for _ in range(draw.choice([1, 4, 12, 24]))]
    return "".join(word + draw.choice(separators) for word in words)


draw = random.Random(16)
TEXTS = [
    ("", ["a boat"]),
    ("a boat", [""]),
    ("", [""]),
    ("...", ["!"]),
    ("\n\n", ["\n"]),
    ("ΑΒΓ δ", ["ΑΒΓ δ"]),
    ("boat", ["boat"]),
    ("a\nb\nc\na\nb", ["b\nc\na\nb\nc"]),
    ("a b c a", ["a b a c\nc a b"]),
    ("the boat the boat the boat", ["the boat", "boat the boat the boat the"]),
    ("flies died sky skies", ["fly die sky"]),
    *[(salad(draw), [salad(draw) for _ in range(draw.choice([1, 1, 3]))]) for _ in range(36)],
]
SCORERS = [RougeScorer(TYPES), RougeScorer(TYPES, use_stemmer=True)]

SUFFIXES = """s es ies ss sses ed eed ied ing ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism iveness fulness
ousness aliti iviti biliti fulli fully logi ology icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion ou ism
ate ating bled izing iti ous ive ize y ay ll lling tting pping e""".split()
STEMS = ["", "b", "tr", "ge", "at", "toy", "hop", "rel", "fall", "syzyg", "oper", "condit", "1x"]
IRREGULAR = "sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed".split()
MORE = "a is by say die died flies enjoy enjoyment spied feed agreed controlling rolled rowing boxed yyy eating"
words = sorted({*IRREGULAR, *MORE.split(), *(stem + suffix for stem in STEMS for suffix in SUFFIXES)})

lines = [
    *(
        {"hypothesis": hypothesis, "references": references, **{
            name: {kind: list(score) for kind, score in scorer.score_multi(references, hypothesis).items()}
            for name, scorer in zip(["words", "stems"], SCORERS)
        }}
        for hypothesis, references in TEXTS
    ),
]
stem = PorterStemmer().stem
expected = (
    f'{{"versions": {json.dumps({name: version(name) for name in ["nltk", "rouge-score"]})},\n"texts": [\n'
    + ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    + f'\n],\n"stems": {json.dumps({word: stem(word) for word in words})}}}\n'
)
(Path(__file__).parent / "rouge.json").write_text(expected, encoding="utf-8")
