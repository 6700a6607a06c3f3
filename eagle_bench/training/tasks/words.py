"""The small shared lexicon."""

GIRLS = tuple(
    "Anna Clara Ella Emma Grace Helen Iris Jane Julia Kate "
    "Laura Lily Lucy Maria Nina Nora Rosa Ruth Sara Vera".split()
)
BOYS = tuple(
    "Adam Alan Ben Carl Dan David Eric Felix Frank Henry "
    "Hugo Jack Leo Mark Max Noah Oscar Paul Peter Tom".split()
)
NAMES = GIRLS + BOYS

# Every plural is the singular plus "s", and no singular starts with a vowel.
ITEMS = tuple(
    "pear lemon cake cookie book pen card map letter stamp coin stone shell ring bell "
    "lamp key rope drum hat coat shoe cup plate bowl spoon bag ball kite "
    "toy".split()
)
PLACES = tuple(
    "village forest castle island harbor market garden farm school library "
    "bridge tower mill cave valley lake river beach park station".split()
)
COLORS = ("red", "blue", "green", "yellow", "black", "white", "brown", "gray")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)


def pronoun(name: str) -> str:
    """The capitalised pronoun for a first name."""
    return "She" if name in GIRLS else "He"


def plural(item: str, count: int) -> str:
    """The item in the number that `count` asks for."""
    return item if count == 1 else f"{item}s"
