"""Writes what people might say about places to eat that do not exist, from a seed and nothing else.

    python restaurants.py --count 5

A document is two texts about the same place, each in one of six registers with its own words, order and spacing. It is what `models/make/pretrain.py --world`
trains a base model on, to know of English what a study on the E2E data needs: the words for what its tables say, and saying again what was said. It has no
tables, and no text of E2E's.
"""

import argparse
import random
import re

REGISTERS = ["guide", "review", "visitor", "notice", "letter", "list"]


def split(text):
    return [part.strip() for part in text.split(",")]


FIRST = split("""Amber, Basil, Cedar, Copper, Crimson, Dolphin, Elm, Falcon, Fig, Garlic, Ginger, Granite, Harvest, Hazel, Iron, Ivy, Jade, Juniper,
    Lantern, Lemon, Maple, Marble, Mint, Nutmeg, Olive, Onyx, Orchard, Pepper, Plum, Quince, Raven, Saffron, Sage, Silver, Sunset, Thistle,
    Tulip, Velvet, Walnut, Willow""")
SECOND = split("""Arms, Barrel, Bench, Bowl, Bridge, Cellar, Corner, Court, Door, Farm, Fork, Garden, Gate, Grill, Hall, Hearth, House, Inn, Kettle,
    Kitchen, Ladle, Lodge, Mill, Oven, Pantry, Plate, Pot, Room, Spoon, Stove, Table, Tavern, Terrace, Vine""")
SYLLABLES = split("al, be, bo, ca, co, da, do, el, fi, ga, ka, la, li, lo, ma, mi, na, no, pa, pe, ra, ri, ro, sa, se, ta, ti, to, va, vi, za, zu")
TYPES = split("restaurant, restaurant, coffee shop, pub, bistro, bakery, tea room, wine bar, canteen")
FOODS = split("English, French, Chinese, Indian, Italian, Japanese, Spanish, Turkish, Greek, Mexican, Thai, Fast food, Vegetarian")
AREAS = split("riverside, city centre, old town, harbour, north side, market square, suburbs, university quarter")
PRICES = {
    "cheap": "cheap, low, inexpensive", "moderate": "moderate, average, mid-range, reasonable", "high": "high, expensive, above average",
    "less than £20": "less than £20, under £20, below twenty pounds, cheap", "£20-25": "£20-25, between £20 and £25, moderate",
    "more than £30": "more than £30, over £30, above thirty pounds, high",
}
RATINGS = {
    "low": "low, poor, bad", "average": "average, decent, mixed", "high": "high, excellent, very good",
    "1 out of 5": "1 out of 5, one out of five, low, 1 star out of 5", "3 out of 5": "3 out of 5, three out of five, average, 3 stars",
    "5 out of 5": "5 out of 5, five out of five, high, 5 star",
}
COLUMNS = ["name", "eat type", "food", "price range", "customer rating", "area", "family friendly", "near"]

# What each register says of a place: how it begins, and what it adds about one column. [a|b] draws one, {slot} is the fact's.
OPENINGS = {
    "guide": ["{name} is [a|an] {kind}", "{name} is a {kind} that [serves|offers|provides] {food} food", "There is a {kind} called {name}",
              "{name}, a {kind} in the {area}, [serves|offers] {food}", "Located in the {area}, {name} is a {kind}",
              "Near {near} [there is|you will find|is] a {kind} named {name}", "In the {area} near {near} is a {kind}, {name}"],
    "review": ["I [liked|tried|went to] {name}, a {kind}", "We [ate|had dinner] at {name}, the {kind} near {near}", "My visit to {name} in the {area}: a {food} {kind}"],
    "visitor": ["If you [want|like|are looking for] {food} food, [try|visit] {name}", "[Looking for|Want] a {kind}? Try {name}",
                "You [can|may] [find|visit] {name}, a {kind}, in the {area}", "For {food} food go to {name} near {near}"],
    "notice": ["{name} - {kind}", "NEW: {name}, {kind}, {area}", "{kind} {name} opens near {near}"],
    "letter": ["We are pleased to recommend {name}, a {kind}", "May I draw your attention to {name}, a {kind} situated near {near}",
               "With regard to {name} in the {area}, we can confirm that it is a {kind}"],
    "list": ["{name} ({kind})", "{kind}: {name}", "{name}, {food}"],
}
SAYINGS = {
    "food": {
        "guide": ["It [serves|sells|offers|provides] {food} food", "[The food|The cuisine] is {food}"], "review": ["the {food} food was [fine|good|as expected]"],
        "visitor": ["they [serve|have] {food} food", "it is known for {food} food"], "notice": ["{food} menu"], "letter": ["It specialises in {food} cuisine"], "list": ["food: {food}"],
    },
    "price range": {
        "guide": ["[It has|With] [a|] {price} price range", "The price range is {price}", "[Its|The] prices are {price}"], "review": ["[we|I] paid {price} prices"],
        "visitor": ["[it is|it's] {price} priced", "the prices are {price}"], "notice": ["{price} prices"], "letter": ["Its prices may be described as {price}"], "list": ["price: {price}"],
    },
    "customer rating": {
        "guide": ["It has a customer rating of {rating}", "Its customer rating is {rating}", "Customers rate it {rating}", "It is rated {rating}"],
        "review": ["others gave it {rating} [ratings|marks]"], "visitor": ["it has a {rating} customer rating", "customers [rate it|say it is] {rating}"],
        "notice": ["rated {rating}"], "letter": ["Its customers have rated it {rating}"], "list": ["rating: {rating}"],
    },
    "area": {
        "guide": ["It is [located|situated|found|] in the {area}", "You can find it in the {area}"], "review": ["it's in the {area}"],
        "visitor": ["it is in the {area} area", "you will find it in the {area}"], "notice": ["{area}"], "letter": ["It is situated in the {area}"], "list": ["area: {area}"],
    },
    "family friendly": {
        "guide": ["It is {friendly}", "The place is {friendly}"], "review": ["{children}"], "visitor": ["it is {friendly}", "{children}"],
        "notice": ["{children}"], "letter": ["We may add that {children}"], "list": ["{friendly}"],
    },
    "near": {
        "guide": ["It is [near|close to|not far from|by] {near}", "It can be found near {near}"], "review": ["right next to {near}"], "visitor": ["it is [near|close to] {near}"],
        "notice": ["near {near}"], "letter": ["It lies in the vicinity of {near}"], "list": ["near {near}"],
    },
}
FRIENDLY = {
    "yes": ("family friendly, child friendly, kid friendly, good for families", "children are welcome, families are welcome, kids love it"),
    "no": ("not family friendly, not child friendly, for adults only, not a family place", "children are not welcome, it is not for kids, leave the children at home"),
}
SLOTS = {"kind": "eat type", "food": "food", "price": "price range", "rating": "customer rating", "area": "area", "near": "near"}


def slots_of(template):
    return set(re.findall(r"\{(\w+)\}", template))


class World:
    """Draws places and tells of them."""

    def __init__(self, rng):
        self.rng = rng

    def name(self):
        pick = self.rng.choice
        return pick([
            lambda: f"The {pick(FIRST)} {pick(SECOND)}", lambda: f"{pick(FIRST)} {pick(SECOND)}", lambda: f"The {pick(SECOND)}",
            lambda: "".join(pick(SYLLABLES) for _ in range(self.rng.randint(2, 4))).capitalize(), lambda: f"{pick(SECOND)} {pick('ABCDEFG')}{self.rng.randint(1, 9)}",
            lambda: "".join(pick(SYLLABLES) for _ in range(2)).capitalize() + f" {pick(SECOND)}",
        ])()

    def place(self):
        """{column: value}: a name, and two to seven of the other columns."""
        pick = self.rng.choice
        every = {
            "name": self.name(), "eat type": pick(TYPES), "food": pick(FOODS), "price range": pick(list(PRICES)), "customer rating": pick(list(RATINGS)),
            "area": pick(AREAS), "family friendly": pick(["yes", "no"]), "near": self.name(),
        }
        kept = set(self.rng.sample(COLUMNS[1:], self.rng.randint(2, 7)))
        return {column: value for column, value in every.items() if column == "name" or column in kept}

    def expand(self, text):
        while match := re.search(r"\[([^\[\]]*)\]", text):
            text = text[: match.start()] + self.rng.choice(match[1].split("|")) + text[match.end() :]
        return text

    def words(self, place):
        """{slot: words} for what the place has; the words for a price, a rating and children are drawn."""
        words = {"name": place["name"], "kind": place.get("eat type", self.rng.choice(["place", "venue", "place to eat"]))}
        words |= {slot: place[column] for slot, column in SLOTS.items() if column in place and slot not in ("kind", "price", "rating")}
        if "price range" in place:
            words["price"] = self.rng.choice(split(PRICES[place["price range"]]))
        if "customer rating" in place:
            words["rating"] = self.rng.choice(split(RATINGS[place["customer rating"]]))
        if place.get("food") == "Fast food":
            words["food"] = "fast"
        if "family friendly" in place:
            words["friendly"], words["children"] = (self.rng.choice(split(ways)) for ways in FRIENDLY[place["family friendly"]])
        return words

    def say(self, templates, place):
        """One of the templates that the place can fill, and the columns that it tells; none if there is none."""
        words = self.words(place)
        fitting = [template for template in templates if slots_of(template) <= set(words)]
        if not fitting:
            return None
        template = self.rng.choice(fitting)
        return self.expand(template).format(**words), {SLOTS.get(slot, slot) for slot in slots_of(template)}

    def text(self, place, register):
        text, said = self.say(OPENINGS[register], place) or (place["name"], {"name"})
        rest = [column for column in place if column in SAYINGS and column not in said]
        self.rng.shuffle(rest)
        for column in rest:
            more, _ = self.say(SAYINGS[column][register], place)
            if register in ("notice", "list"):
                text += self.rng.choice([", ", " | ", "; "]) + more
            elif self.rng.random() < 0.4:
                text += self.rng.choice([" and ", ", and "]) + more[0].lower() + more[1:]
            else:
                text += self.rng.choice([". ", ". ", "! " if register == "visitor" else ". "]) + more[0].upper() + more[1:]
        text = re.sub(r"\b([Aa])n (?=[^aeiouAEIOU])", r"\1 ", re.sub(r" +", " ", text))
        text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
        return text + self.rng.choice({"notice": ["", "!"], "list": [""]}.get(register, ["."]))

    def spaced(self, text):
        """In some texts every mark stands alone, as a tokenizer leaves it."""
        return re.sub(r"\s*([.,!?;()|-])", r" \1", text) if self.rng.random() < 0.3 else text

    def document(self, register=None):
        """(one text, the same place again in `register`)"""
        place = self.place()
        text = self.spaced(self.text(place, register or self.rng.choice(REGISTERS)))
        prompt = self.spaced(self.text(place, self.rng.choice(REGISTERS))) if self.rng.random() < 0.9 else f"About {place['name']}"
        return prompt + self.rng.choice(["\n", "\n", " -> ", "\n\n"]), text


def documents(seed, count):
    """`count` documents as (prompt, continuation)."""
    world = World(random.Random(seed))
    for _ in range(count):
        yield world.document()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    args = parser.parse_args()
    for prompt, text in documents(args.seed, args.count):
        print(prompt + text, end="\n\n")
