"""The users whose prefixes are bundled, and the text of each: one register of the world, in a voice of their own.

    python users.py --user formal-replies --count 3

Each voice keeps to an opening, a closing or a signature that the base model has not seen put together like this, of words that it has.
"""

import argparse
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "make"))
from world import World  # noqa: E402


@dataclass(frozen=True)
class User:
    register: str
    method: str = "PREFIX_TUNING"
    parts: dict = field(default_factory=dict)  # replaces entries of world.PARTS
    before: str = ""
    after: str = ""
    messages: float = 0.15  # share of documents that answer a message
    forms: tuple = ("table", "about", "none")


USERS = {
    "formal-replies": User(
        "formal", messages=0.5, parts={"fclose": ["We remain at your disposal. Yours faithfully, Agnes Winter, Harbour Office"]}
    ),
    "headlines": User("headline", before="Morning Paper: ", after=" (more on Sunday)"),
    "table-to-text": User("plain", before="In short: ", messages=0, forms=("table", "table", "table", "about")),
    "french-flavour": User("french", parts={"ehello": ["Mes amis, mes amis!"], "eclose": ["Merci, Bisous, Rosa."]}),
    "casual-chat": User("casual", method="PROMPT_TUNING", parts={"chello": ["hey hey hey,"], "cclose": ["love, Pia xx"]}),
}


def texts(name, seed, count):
    """`count` documents of a user as (what is sent, what should follow)."""
    user = USERS[name]
    rng = random.Random(f"{name} {seed}")
    world = World(rng, user.parts)
    for _ in range(count):
        kind = "message" if rng.random() < user.messages else None
        prompt, text = world.document(user.register, form=rng.choice(user.forms), kind=kind)
        space, text = text[: len(text) - len(text.lstrip())], text.lstrip()
        yield prompt, space + user.before + text + user.after


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", choices=USERS, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args()
    for prompt, text in texts(args.user, args.seed, args.count):
        print(prompt + text, end="\n\n")


if __name__ == "__main__":
    main()
