"""The German–English lexicon: nouns with gender, adjectives with endings, verbs with their forms."""

from typing import NamedTuple


class Noun(NamedTuple):
    german: str
    gender: str  # m, f or n
    english: str


class Verb(NamedTuple):
    infinitive: str
    present: str
    participle: str
    english: str  # base form
    third: str
    past: str


def _nouns(text: str) -> tuple[Noun, ...]:
    return tuple(Noun(*entry.split()) for entry in text.strip().splitlines())


PEOPLE = _nouns("""
Müller m miller
Bäcker m baker
Gärtner m gardener
Fischer m fisher
Schneider m tailor
Händler m merchant
Jäger m hunter
Vater m father
Bruder m brother
Onkel m uncle
König m king
Lehrer m teacher
Ärztin f doctor
Köchin f cook
Weberin f weaver
Mutter f mother
Schwester f sister
Tante f aunt
Königin f queen
Malerin f painter
Kind n child
Mädchen n girl
""")
OBJECTS = _nouns("""
Apfel m apple
Korb m basket
Brief m letter
Stuhl m chair
Hut m hat
Löffel m spoon
Schlüssel m key
Krug m jug
Mantel m coat
Tisch m table
Ring m ring
Blume f flower
Lampe f lamp
Glocke f bell
Tasche f bag
Birne f pear
Karte f map
Kerze f candle
Decke f blanket
Uhr f clock
Feder f feather
Buch n book
Boot n boat
Kleid n dress
Messer n knife
Bild n picture
Ei n egg
Rad n wheel
Fass n barrel
Seil n rope
""")
PERSON_ADJECTIVES = {
    "alt": "old", "jung": "young", "müd": "tired", "klug": "clever", "fröhlich": "cheerful", "stolz": "proud",
    "freundlich": "friendly", "fleißig": "busy", "arm": "poor", "reich": "rich",
}  # fmt: skip
OBJECT_ADJECTIVES = {
    "rot": "red", "grün": "green", "klein": "small", "groß": "large", "neu": "new", "schön": "beautiful",
    "schwer": "heavy", "billig": "cheap", "weiß": "white", "blau": "blue", "gelb": "yellow", "rund": "round",
}  # fmt: skip
VERBS = tuple(
    Verb(*entry.split())
    for entry in """
kaufen kauft gekauft buy buys bought
verkaufen verkauft verkauft sell sells sold
suchen sucht gesucht seek seeks sought
finden findet gefunden find finds found
tragen trägt getragen carry carries carried
malen malt gemalt paint paints painted
bringen bringt gebracht bring brings brought
zeigen zeigt gezeigt show shows showed
verlieren verliert verloren lose loses lost
sehen sieht gesehen see sees saw
wählen wählt gewählt choose chooses chose
nehmen nimmt genommen take takes took
verstecken versteckt versteckt hide hides hid
halten hält gehalten hold holds held
""".strip().splitlines()
)
PLACES = {
    "auf dem Markt": "at the market", "im Garten": "in the garden", "in der Küche": "in the kitchen",
    "am Fluss": "by the river", "im Wald": "in the forest", "auf der Brücke": "on the bridge",
    "vor dem Haus": "in front of the house", "in der Stadt": "in the town", "hinter der Mühle": "behind the mill",
    "im Hafen": "in the harbour", "neben der Kirche": "beside the church", "im Dorf": "in the village",
}  # fmt: skip
PRESENT_TIMES = {
    "heute": "today", "am Abend": "in the evening", "am Morgen": "in the morning", "jeden Tag": "every day",
    "am Montag": "on Monday", "am Freitag": "on Friday", "im Winter": "in winter", "im Sommer": "in summer",
}  # fmt: skip
PAST_TIMES = {
    "gestern": "yesterday", "letzte Woche": "last week", "vor drei Tagen": "three days ago",
    "am letzten Sonntag": "last Sunday",
}  # fmt: skip
MODALS = {"will": "wants to", "muss": "must", "kann": "can"}

DEFINITE = {"m": "der", "f": "die", "n": "das"}
DEFINITE_OBJECT = {"m": "den", "f": "die", "n": "das"}
INDEFINITE_OBJECT = {"m": "einen", "f": "eine", "n": "ein"}
# Endings of an adjective before an object, after a definite and after an indefinite article.
DEFINITE_ENDING = {"m": "en", "f": "e", "n": "e"}
INDEFINITE_ENDING = {"m": "en", "f": "e", "n": "es"}
