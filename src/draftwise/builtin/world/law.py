"""`law analytics`: a contract of numbered clauses and a case; the answer names the clause and what follows."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from draftwise.builtin.world.base import Draw, Sample, Split, draw_until
from draftwise.builtin.world.lexicon import FIRST_NAMES, SURNAMES, TOWNS

AMOUNTS = tuple(range(10, 100, 5))
DAYS = (2, 3, 5, 6, 8, 10, 12, 14, 20, 30)


class Rule(NamedTuple):
    """A clause: `cause` as the contract words it, `case` as it happens, who pays (0 or 1), and for what."""

    cause: str
    case: str
    payer: int
    what: str


class Kind(NamedTuple):
    """A kind of contract: the two roles, what it is about, and its possible clauses."""

    roles: tuple[str, str]
    about: str
    rules: tuple[Rule, ...]


def _rules(text: str) -> tuple[Rule, ...]:
    rows = [line.split(" / ") for line in text.strip().splitlines()]
    return tuple(Rule(cause, case, int(payer), what) for cause, case, payer, what in rows)


KINDS = (
    Kind(
        ("landlord", "tenant"),
        "the lease of a house",
        _rules("""
the rent is late / {1} has paid the rent too late / 1 / a fee
a window is broken / {1} has broken a window of the house / 1 / damages
the roof leaks / {0} has not mended the leaking roof / 0 / a refund
a pet is kept in secret / {1} has kept a pet in secret / 1 / a fine
the heating fails / {0} has left the heating cold in winter / 0 / a rebate
the house is sublet / {1} has sublet the house to a cousin / 1 / a penalty
the keys are lost / {1} has lost the keys of the house / 1 / a charge
"""),
    ),
    Kind(
        ("seller", "buyer"),
        "the sale of goods",
        _rules("""
the goods arrive late / {0} has sent the goods too late / 0 / a penalty
the goods are damaged / {0} has sent damaged goods / 0 / damages
the price is unpaid / {1} has not paid the price of the goods / 1 / a fee
the order is cancelled / {1} has cancelled the order / 1 / a charge
the weight is wrong / {0} has sent goods of the wrong weight / 0 / a rebate
the goods are refused / {1} has refused to take the goods / 1 / a fine
the papers are missing / {0} has sent the goods without papers / 0 / a refund
"""),
    ),
    Kind(
        ("master", "worker"),
        "work in a workshop",
        _rules("""
the wage is late / {0} has paid the wage too late / 0 / a penalty
a tool is lost / {1} has lost a tool of the workshop / 1 / damages
the work starts late / {1} has come to work too late / 1 / a fine
a holiday is refused / {0} has refused a holiday / 0 / a bonus
a secret is told / {1} has told a secret of the workshop / 1 / a charge
the worker is hurt / {0} has let {1} get hurt at work / 0 / a refund
the work is unfinished / {1} has left the work unfinished / 1 / a fee
"""),
    ),
)
_OPENINGS = (
    "This contract is made in {town} between {0}, the {role0}, and {1}, the {role1}. It concerns {about}.",
    "{about_large}. The {role0} is {0} and the {role1} is {1}. Signed in {town}.",
    "Contract of {town}. The {role0} is {0}. The {role1} is {1}. The parties agree on {about}.",
)
_QUESTIONS = (
    ("Case: {case}. Which clause applies, and what follows?", "Clause {n} applies because {cause}. {follows}."),
    ("Case: {case}. What does the contract say about this?", "The contract says in clause {n}: {follows}."),
    ("{case}. Decide the case and name the clause.", "Under clause {n}, {follows}, because {cause}."),
)


def _clause(rng: random.Random, rule: Rule, roles: tuple[str, str], amount: int, days: int) -> str:
    payer, other = roles[rule.payer], roles[1 - rule.payer]
    return f"If {rule.cause}, the {payer} pays the {other} {rule.what} of {amount} crowns within {days} days."


def _make(rng: random.Random, lengths: Sequence[int]) -> Draw:
    kind = rng.choice(KINDS)
    names = [f"{first} {last}" for first, last in zip(rng.sample(FIRST_NAMES, 2), rng.sample(SURNAMES, 2), strict=True)]
    rules = rng.sample(kind.rules, rng.choice(lengths))
    amounts, days = rng.sample(AMOUNTS, len(rules)), rng.sample(DAYS, len(rules))
    opening = rng.choice(_OPENINGS).format(
        *names,
        town=rng.choice(TOWNS),
        role0=kind.roles[0],
        role1=kind.roles[1],
        about=kind.about,
        about_large="Contract on " + kind.about,
    )
    clauses = [f"Clause {i + 1}: {_clause(rng, rule, kind.roles, amounts[i], days[i])}" for i, rule in enumerate(rules)]
    at = rng.randrange(len(rules))
    rule = rules[at]
    question, reply = rng.choice(_QUESTIONS)
    payer, other = names[rule.payer], names[1 - rule.payer]
    follows = f"{payer} pays {other} {rule.what} of {amounts[at]} crowns within {days[at]} days"
    turn = "\n".join([opening, *clauses, question.format(case=rule.case.format(*names))])
    answer = reply.format(n=at + 1, cause=rule.cause, follows=follows)
    label = f"Clause {at + 1}" if answer.startswith("Clause") else f"clause {at + 1}"
    sample = Sample(
        "law analytics",
        (turn,),
        (answer,),
        ((label, f"{amounts[at]} crowns", f"{days[at]} days", f"{payer} pays {other}"),),
    )
    return Draw((rule.cause, names[0], names[1]), sample)


def draw_case(split: Split, rng: random.Random, easy: bool = False) -> Sample:
    """Draw a contract whose parties and broken clause belong to `split`; an `easy` one has two or three clauses."""
    lengths = (2, 3) if easy else (5, 6)
    return draw_until(split, lambda rng: _make(rng, lengths), rng)
