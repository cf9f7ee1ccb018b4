"""Writes the data of study.json: one user's text in the world of the bundled model, with its kind of fact as the category.

    python make_data.py
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "models" / "make"))
from world import World  # noqa: E402

KINDS = ["place", "product", "weather", "event", "travel", "match", "message"]
VOICE = {"fclose": ["We remain at your disposal. Yours faithfully, Agnes Winter, Harbour Office"]}


def examples(seed, count):
    """`count` examples, each kind in turn; every prompt is different."""
    world, prompts = World(random.Random(seed), VOICE), set()
    kinds = [kind for kind in KINDS for _ in range(count // len(KINDS))]
    for kind in kinds:
        prompt = None
        while prompt is None or prompt in prompts:
            prompt, text = world.document("formal", form="table", kind=kind)
        prompts.add(prompt)
        yield {"prompt": prompt, "completion": text, "category": kind}


def main():
    for name, seed, count in [("train", 21, 700), ("test", 900_021, 140)]:
        lines = [json.dumps(example, ensure_ascii=False) + "\n" for example in examples(seed, count)]
        (HERE / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
