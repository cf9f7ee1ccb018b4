"""Writes reports of the world, and summaries of them, from a seed and nothing else.

    python reports.py --count 5
    python reports.py --register headline --count 400 --jsonl > headlines.jsonl

A report tells a fact at length and mentions others. Its summary tells the first fact alone, in a register that nothing in the report gives
away: that is what a prefix is for.
"""

import argparse
import json
import random
import re

from world import REGISTERS, TEMPLATES, World, tidy

#: Kinds of facts that every register can tell.
KINDS = [kind for kind in TEMPLATES if kind != "message" and all(register in TEMPLATES[kind] for register in REGISTERS)]
#: Registers of whole sentences, which reports are written in.
PROSE = [register for register in REGISTERS if register in ("plain", "formal", "french", "advert")]


def tell(world, kind, register, slots):
    return tidy(world.expand(world.rng.choice(TEMPLATES[kind][register]), slots), register)


def names(text):
    """Names and numbers in a text: what a summary must have from its report."""
    return set(re.findall(r"[A-Z][a-z]+|\d+", text))


def report(world, register=None):
    """One report as (source, summary)."""
    pick = world.rng.choice
    voice, register = pick(PROSE), register or pick(REGISTERS)
    lead, *others = world.rng.choices(KINDS, k=world.rng.randint(2, 4))
    slots, _ = world.fact(lead)
    # Of several tellings, the pair of which the summary says least that the report does not.
    pairs = [(tell(world, lead, voice, slots), tell(world, lead, register, slots)) for _ in range(8)]
    told, summary = min(pairs, key=lambda pair: len(names(pair[1]) - names(pair[0])))
    return " ".join([told, *(tell(world, kind, voice, world.fact(kind)[0]) for kind in others)]), summary


def reports(seed, count, parts=None, register=None):
    """`count` reports as (source, summary)."""
    world = World(random.Random(seed), parts)
    for _ in range(count):
        yield report(world, register)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--register", choices=REGISTERS)
    parser.add_argument("--jsonl", action="store_true", help='lines of {"prompt", "completion"}, to train and to evaluate prefixes with')
    args = parser.parse_args()
    for source, summary in reports(args.seed, args.count, register=args.register):
        print(json.dumps({"prompt": source, "completion": summary}) if args.jsonl else f"{source}\n-> {summary}\n")


if __name__ == "__main__":
    main()
