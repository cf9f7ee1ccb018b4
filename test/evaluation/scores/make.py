"""Scores of reference implementations for sentences made up here: writes expected.json beside this file.

    git clone https://github.com/tuetschek/e2e-metrics && pip install -r requirements.txt && python make.py e2e-metrics
"""

import json
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

e2e_metrics = Path(sys.argv[1])
sys.path.insert(0, str(e2e_metrics))

import sacrebleu
from metrics.pymteval import BLEUScore, NISTScore
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS
from rouge_score.rouge_scorer import RougeScorer


class NoSynonyms:
    def synsets(self, word):
        return []


NAMES = ["Lantern Hill", "the O'Brien pier", "Café Nord", "station 7", "St. Mary's mill"]
KINDS = ["a lighthouse", "a well-kept garden", "an old mill", "a reading room"]
PRICES = ["costs £5.50", "costs 1,200 crowns", "is free", "costs 20-25 euros"]
ENDS = ["and families enjoyed it.", "but it doesn't open on Mondays!", "; visitors were walking there (slowly).", '& "locals" love it']


def sentence(draw):
    name, kind, price, end = (draw.choice(options) for options in (NAMES, KINDS, PRICES, ENDS))
    return draw.choice([f"{name} is {kind} that {price} {end}", f"There is {kind} called {name} , which {price} {end}"])


def drawn(seed, texts, references):
    draw = random.Random(seed)
    return [(sentence(draw), [sentence(draw) for _ in range(references(draw))]) for _ in range(texts)]


ONE = ["The boat reaches the island in the morning .", "It carries letters and bread."]
CASES = {
    "single reference": drawn(1, 12, lambda _: 1),
    "several references": drawn(2, 12, lambda draw: draw.randint(2, 5)),
    "gold against gold": [(text, [text, "Another text of other words."]) for text in ONE],
    "an empty hypothesis among others": [("", ONE), (ONE[0], ONE), (ONE[1], ONE[:1])],
    "only an empty hypothesis": [("", ONE)],
    "n-grams repeated more often than in a reference": [("the the the the the boat boat the island .", ONE)],
    "no matching 4-gram": [("In the morning the island , the boat .", ONE), ("Bread and letters it carries .", ONE)],
    "nothing matches": [("Nine grey geese fly south tonight together", ONE)],
    "fewer words than an n-gram": [("Bread .", ONE)],
    "stems alone match": [("Boats reached islands; carrying breads", ["A boat reaches an island, carried bread"])],
    "lines": [("Bread came by boat.\nThe boat\n\nwas late", ["The boat was late.\nIt carried the bread.", "A late boat\ncame by"])],
    "equally close lengths": [("a b c d e", ["a b c d", "a b c d e f g", "a b c d e f"])],
    "one word short": [("The boat reaches the island in morning .", ONE[:1])],
    "entities, dashes and numbers": [("&lt;skipped&gt; 3.5-9-4 &amp; 1,000 e-mails, e.g. 5. x_y {z} <skipped>ok", ["< 3.5 - 9 - 4 & 1,000 e-mails, e.g. 5 . x_y { z } ok"])],
}


def caption_words(text):
    """What our own captionWords gives: the E2E script's tokenizer in Stanford's place."""
    return [word.lower() for word in BLEUScore().tokenize(text) if word and word.lower() not in PUNCTUATIONS]


def mteval(score, texts):
    for hypothesis, references in texts:
        score.append(hypothesis, references)
    try:
        return score.score()
    except ZeroDivisionError:
        return None


def mean(score, texts):
    return sum(score(hypothesis, references) for hypothesis, references in texts) / len(texts)


def sacre_bleu(texts):
    most = max(len(references) for _, references in texts)
    streams = [[references[i] if i < len(references) else None for _, references in texts] for i in range(most)]
    return sacrebleu.corpus_bleu([hypothesis for hypothesis, _ in texts], streams).score


def coco_rouge(hypothesis, references):
    return Rouge().calc_score([" ".join(caption_words(hypothesis))], [" ".join(caption_words(r)) for r in references])


def rouge_score(stem):
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=stem)

    def of(kind):
        return lambda hypothesis, references: scorer.score_multi(references, hypothesis)[kind].fmeasure

    return {f"rouge_score_{kind[5:].lower()}{'_stem' if stem else ''}": of(kind) for kind in scorer.rouge_types}


def meteor(hypothesis, references):
    words = [caption_words(reference) for reference in references]
    return meteor_score(words, caption_words(hypothesis), stemmer=PorterStemmer(), wordnet=NoSynonyms())


def scores(texts):
    return {
        "bleu": sacre_bleu(texts),
        "e2e_bleu": mteval(BLEUScore(), texts),
        "nist": mteval(NISTScore(), texts),
        "rouge_l": mean(coco_rouge, texts),
        **{name: mean(of, texts) for name, of in (rouge_score(False) | rouge_score(True)).items()},
        "meteor_exact_stem": mean(meteor, texts),
    }


def as_json(texts):
    return [{"hypothesis": hypothesis, "references": references} for hypothesis, references in texts]


packages = [line.split("==")[0] for line in (Path(__file__).parent / "requirements.txt").read_text().split()]
commit = subprocess.run(["git", "-C", e2e_metrics, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
expected = {
    "versions": {name: version(name) for name in packages} | {"e2e-metrics": commit.stdout.strip()},
    "cases": [{"name": name, "texts": as_json(texts), "scores": scores(texts)} for name, texts in CASES.items()],
}
(Path(__file__).parent / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
