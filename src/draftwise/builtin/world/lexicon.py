"""Names and things of the world. Every name is one word, so that it becomes one token."""

from itertools import product


def _names(heads: str, tails: str) -> tuple[str, ...]:
    return tuple(head + tail for head, tail in product(heads.split(), tails.split()))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Three closed sets that share no word.
FIRST_NAMES = _names("Ta Mi Do Ru Le So Bri Ka Ni Ve Ju Fe", "mo ra lin do sa rek vi nel")
SURNAMES = _names("Bran Tol Ven Har Mos Kel Dun Fal Gor Wen", "berg kin mar sted ridge low fitt ner")
TOWNS = _names("Or Ul Bel Cam Dra Es Gri Hol Ivo Lun Pel Quin", "vel dan mouth haven stow wick more crest")

RIVERS = _words("Senna Arrow Minde Lorra Tessel Wye Brusk Calder Nivel Ostra Pellin Rhone Ister Yarrow Dolma")
MONTHS = _words("January February March April May June July August September October November December")
SEASONS = ("spring", "summer", "autumn", "winter")
COLOURS = _words("red blue green yellow white black brown grey purple orange silver golden")
PETS = _words("goat cat dog raven horse rabbit tortoise pigeon hedgehog parrot donkey ferret")
INSTRUMENTS = _words("flute violin drum harp trumpet organ fiddle horn lute piano")
TRADES = _words(
    "baker miller weaver tailor potter smith farmer cook painter sailor hunter teacher doctor clerk mason glazier"
)
MEALS = _words("soup porridge dumplings pancakes trout stew noodles cheese omelette pudding")
WARES = _words(
    "copper salt wool glass honey cider paper silk barley timber marble candles ropes boots barrels "
    "lamps carpets knives bells cheese"
)
SIGHTS = _words(
    "lighthouse windmill castle bridge cathedral observatory fountain library harbour tower theatre "
    "abbey museum garden palace arch statue well"
)
THINGS = _words("apples pears coins stamps marbles books eggs shells nuts buttons candles cups plums keys")
