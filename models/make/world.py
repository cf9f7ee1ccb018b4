"""Writes the text of a small invented world, from a seed and nothing else.

    python world.py --count 5
    python world.py --register formal --form table

A document is a fact told in a register: `plain`, `formal`, `casual`, `headline`, `french` or `advert`. The facts are drawn
here; the ways of telling them are in templates.txt. A document may begin with a table of the fact, with a message to be
answered, or with a line that names the subject; the register cannot be told from any of these. That is what a prefix is for.
"""

import argparse
import random
import re
from pathlib import Path

REGISTERS = ["plain", "formal", "casual", "headline", "french", "advert"]


def split(text):
    return [part.strip() for part in text.split(",")]


FIRST = split("""Anna, Ben, Clara, David, Elena, Felix, Greta, Hugo, Iris, Jonas, Karla, Leo, Mara, Nils, Olga, Paul, Rosa, Simon, Tilda,
    Victor, Wanda, Yusuf, Zoe, Marta, Emil, Nora, Oskar, Pia, Agnes, Bruno, Edith, Frank, Ida, Jasper, Lena, Martin, Petra, Ruth""")
LAST = split("""Abbot, Baker, Brook, Carver, Dale, Ellis, Fisher, Grove, Hart, Holm, Keller, Lane, Marsh, North, Potter, Reed, Stone,
    Thorn, Walker, Winter, Wood, Young""")
TOWNS = split("""Alder Bay, Birchfield, Carrow, Copper Hill, Dunmore, Eastwick, Fernley, Glen Harbour, Halmouth, Hazelford, Kingsbrook,
    Larch Valley, Linden, Ostrey, Redcliff, Stonebridge""")
NEAR = split("""the harbour, the market square, the old mill, the railway station, the town hall, the library, the botanical garden,
    the stone bridge, the lighthouse, the river, the park, the theatre""")
AREAS = split("old town, city centre, river quarter, harbour quarter, north end")
PLACES = split("""Blue Kettle, Copper Pot, Larch House, Old Anchor, Green Table, Lantern, Mill Street Kitchen, Red Door, Silver Spoon,
    White Horse, Golden Pear, Quiet Corner, Lemon Tree, Black Swan, Three Chairs, Little Oven""")
TYPES = split("restaurant, coffee shop, pub, bakery, tea room, bistro")
FOODS = split("Italian, Japanese, French, Indian, English, Spanish, Turkish, Chinese")
DISHES = {
    "tomato soup": "tomatoes, onions, butter", "apple cake": "apples, flour, sugar", "fish pie": "white fish, potatoes, parsley",
    "bean stew": "beans, carrots, garlic", "rice pudding": "rice, milk, cinnamon", "mushroom omelette": "mushrooms, eggs, chives",
    "onion tart": "onions, cream, thyme", "lemon chicken": "chicken, lemons, honey", "crab soup": "crab, cream, pepper",
    "potato salad": "potatoes, mustard, herbs", "pear crumble": "pears, oats, sugar", "pumpkin bread": "pumpkin, flour, nuts",
}
THINGS = {
    "kettle": "boils water in two minutes, keeps tea warm for an hour", "bicycle": "has eight gears, folds in half",
    "lamp": "gives a warm light, runs for a week on one battery", "rucksack": "keeps the rain out, has seven pockets",
    "radio": "finds every station by itself, works without a cable", "chair": "can be stacked, carries a heavy guest",
    "clock": "never needs winding, glows in the dark", "jacket": "weighs almost nothing, keeps the wind out",
    "umbrella": "opens with one hand, survives every storm", "teapot": "never drips, holds six cups",
}
BRANDS = split("Norda, Kell, Tavo, Brisk, Halden, Umbra, Tern, Orla")
MATERIALS = split("steel, oak, wool, glass, leather, copper, canvas, paper")
COLOURS = split("red, blue, green, black, white, yellow, grey, orange")
SKIES = split("rain, snow, sunshine, fog, thunder, light frost, a grey sky, a clear sky, hail, drizzle")
WINDS = split("light, strong, cold, warm, gentle, rough")
EVENTS = split("""summer fair, harbour festival, book market, night of music, chess tournament, flower show, school concert, boat race,
    winter ball, cooking contest, film evening, town meeting""")
VENUES = split("the town hall, the school, Mill Park, the old theatre, Harbour Hall, the church, North Stadium, the Long Pier")
JOBS = split("""baker, teacher, doctor, fisherman, gardener, painter, carpenter, nurse, librarian, postman, tailor, engineer, cook, captain,
    musician, clockmaker""")
HOBBIES = split("fishing, chess, painting, singing, gardening, swimming, reading, cycling, dancing, astronomy")
PETS = split("cat, dog, parrot, goat, rabbit, pony, duck, tortoise")
LINES = split("ferry, night train, bus, express train, mail boat, tram")
REASONS = split("fog, a broken rail, high water, a strike, repairs, strong wind, a lost key, sheep on the road, snow, a power cut")
TEAMS = split("""Dunmore Rovers, Eastwick United, Harbour Town, Fernley Foxes, Kingsbrook City, Ostrey Athletic, Linden Wanderers,
    Carrow Rangers""")
DAYS = split("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
WANTED = split("""the small room, the boat trip, the piano lesson, the repair of the clock, the order of twelve chairs, the garden table,
    the guided tour, the meeting with the council, the lost umbrella, the wedding cake, the return of the radio, the late table""")
ASKS = split("""Could I have {thing} on {day}?, Is {thing} still possible on {day}?, I am writing about {thing}. Does {day} suit you?,
    Please let me know about {thing} on {day}., What about {thing}? I can come on {day} at {time}., May I ask for {thing} on {day}?""")

# Parts of the registers that are not about the fact. A user's own text fixes some of them: see prefixes/make/users.py.
PARTS = {
    "fclose": """[Yours sincerely|Yours faithfully|With kind regards], {signature}
[Please do not hesitate to contact us|We remain at your disposal]. [Yours sincerely|Yours faithfully], {signature}
We thank you for your [patience|understanding]. [Yours faithfully|With kind regards], {signature}""".split("\n"),
    "signature": ["[{title} |]{officer}", "the [Harbour|Town|Tourist|Lost Property] Office", "{officer}, Secretary"],
    "chello": ["hey[ {lpal}|]!", "hi {lpal},", "omg", "oh wow,", "listen,", "guess what,", "yo {lpal},"],
    "cclose": ["xx", ":)", "[see you|bye|later] {lpal}", "text me [ok|later]?", "love, {lpal} xx", "[thx|cheers]!!"],
    "ehello": ["Bonjour, bonjour!", "Ah,", "Alors,", "Mes amis,", "Oh là là,", "Mon cher {pal},", "Écoutez,"],
    "eclose": ["À bientôt!", "Voilà, c'est tout.", "Merci, [merci beaucoup|mon ami]!", "Vive {town}!", "Bisous, {pal}.", "Santé!"],
}


def read_templates(path=Path(__file__).parent / "templates.txt"):
    """{kind: {register: [template, ...]}}"""
    kinds = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            kind = kinds.setdefault(line[3:], {})
        elif line and not line.startswith("#"):
            register, text = line.split(": ", 1)
            kind.setdefault(register, []).append(text)
    return kinds


TEMPLATES = read_templates()


class World:
    """Draws facts and tells them. `parts` replaces entries of PARTS, which is how a user gets a voice of their own."""

    def __init__(self, rng, parts=None):
        self.rng = rng
        self.parts = PARTS | (parts or {})

    def slots(self):
        """Everything that a template may name, drawn afresh; a kind's own facts are written over it."""
        pick, number = self.rng.choice, self.rng.randint
        first, other, pal, officer = self.rng.sample(FIRST, 4)
        surname = pick(LAST)
        town, to = self.rng.sample(TOWNS, 2)
        near, near2 = self.rng.sample(NEAR, 2)
        day, day2 = self.rng.sample(DAYS, 2)
        home, away = self.rng.sample(TEAMS, 2)
        dish = pick(list(DISHES))
        one, two, three = self.rng.sample(split(DISHES[dish]), 3)
        thing = pick(list(THINGS))
        brand = pick(BRANDS)
        high = number(1, 5)
        return dict(
            first=first, other=other, pal=pal, lpal=pal.lower(), lfirst=first.lower(), surname=surname, title=pick(["Mr", "Ms", "Dr"]),
            officer=f"{officer} {pick(LAST)}", name=f"{first} {surname}", who=f"{other} {pick(LAST)}", town=town, to=to, near=near, near2=near2,
            area=pick(AREAS), type=pick(TYPES), food=pick(FOODS), price=pick(["low", "fair", "high"]), rating=pick(["poor", "good", "high"]),
            family=pick(["welcome", "not welcome"]), dish=dish, one=one, two=two, three=three, thing=thing, brand=brand, material=pick(MATERIALS),
            colour=pick(COLOURS), feature=pick(split(THINGS[thing])), sky=pick(SKIES), wind=pick(WINDS), temp=str(number(-5, 30)),
            event=pick(EVENTS), venue=pick(VENUES), job=pick(JOBS), hobby=pick(HOBBIES), pet=pick(PETS), age=str(number(19, 80)),
            years=str(number(2, 30)), line=pick(LINES), delay=str(number(2, 12) * 5), reason=pick(REASONS), home=home, away=away,
            score=f"{high}:{number(0, high - 1)}", scorer=pick(LAST), day=day, day2=day2, time=f"{number(7, 21)}:{pick(['00', '15', '30'])}",
            minutes=str(number(2, 12) * 5), serves=str(number(2, 8)),
        ) | {"from": town}

    def fact(self, kind):
        """The slots of one fact, and the names of those that its table shows."""
        s = self.slots()
        if kind == "place":
            s["name"] = self.rng.choice(["The ", "The ", ""]) + self.rng.choice(PLACES)
            columns = "name type food price rating area near town dish"
        elif kind == "product":
            s |= {"name": f"{s['brand']} {s['thing']}", "price": str(self.rng.randint(2, 40) * 5)}
            columns = "name colour material feature price"
        elif kind == "message":
            s["thing"] = self.rng.choice(WANTED)
            columns = ""
        else:
            columns = {
                "weather": "town day sky wind temp", "event": "event town venue day time price", "person": "name job town age hobby pet",
                "travel": "line from to time delay reason", "match": "home away score scorer venue day",
                "recipe": "dish one two three minutes serves", "story": "",
            }[kind]
        if kind in ("event", "match", "message"):
            s["price"] = str(self.rng.randint(1, 12) * 5)
        return s, columns.split()

    def expand(self, text, slots):
        while match := re.search(r"\[([^\[\]]*)\]", text):
            text = text[: match.start()] + self.rng.choice(match[1].split("|")) + text[match.end() :]
        return re.sub(r"\{(\w+)\}", lambda match: self.fill(match[1], slots), text)

    def fill(self, name, slots):
        if name in self.parts:
            return self.expand(self.rng.choice(self.parts[name]), slots)
        if name in slots:
            return slots[name]
        return re.sub(r"\b[a-z]", lambda letter: letter[0].upper(), slots[name.lower()])  # {Dish}: every word gets its capital

    def document(self, register=None, form=None, kind=None):
        """One document as (what a user would send, what follows)."""
        register = register or self.rng.choice(REGISTERS)
        kind = kind or self.rng.choice([k for k in TEMPLATES if register in TEMPLATES[k]])
        slots, columns = self.fact(kind)
        form = form or self.rng.choice(["table", "table", "about", "none"])
        # The template first: a table shows what the text says, and a few columns more.
        template = self.rng.choice(TEMPLATES[kind][register])
        body = tidy(self.expand(template, slots), register)
        if kind == "message":
            ask = self.expand(self.rng.choice(ASKS), slots)
            return f"Message from {slots['name']}: {ask}\nReply:", " " + body
        if form == "table" and columns:
            said = [c for c in columns if slots[c].lower() in body.lower()]
            more = [c for c in columns if c not in said and self.rng.random() < 0.25]
            return " | ".join(f"{c} : {slots[c]}" for c in columns if c in said + more) + "\n", body
        if form != "none":
            subject = {"weather": "the weather in {town}", "event": "the {event}", "travel": "the {line} to {to}", "recipe": "{dish}",
                       "match": "{home} against {away}", "story": "{first} and the {pet}"}.get(kind, "{name}")
            return f"About {self.expand(subject, slots)}\n", body
        return "", body


def tidy(text, register):
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    text = re.sub(r"\s+([.,!?])", r"\1", text).strip().replace('?,"', '?"')
    if register not in ("casual", "headline"):
        text = re.sub(r"(^|[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)
    return text


def documents(seed, count, parts=None, **which):
    """`count` documents as (prompt, continuation)."""
    world = World(random.Random(seed), parts)
    for _ in range(count):
        yield world.document(**which)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--register", choices=REGISTERS)
    parser.add_argument("--form", choices=["table", "about", "none"])
    parser.add_argument("--kind", choices=sorted(TEMPLATES))
    args = parser.parse_args()
    for prompt, text in documents(args.seed, args.count, register=args.register, form=args.form, kind=args.kind):
        print(prompt + text, end="\n\n")


if __name__ == "__main__":
    main()
