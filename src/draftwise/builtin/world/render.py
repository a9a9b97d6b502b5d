"""The text form of a prompt in training and evaluation: the one that the bench gives to a conversation."""

from collections.abc import Sequence

from draftwise.tasks import history


def render(turns: Sequence[str], answers: Sequence[str] = ()) -> str:
    r"""Join turns and the answers given so far into the text that the next answer continues.

    An answer follows its turn after one space; the next turn begins on a new line. There is no marker at the end:
    `render(["A?"])` is `"A?"`, and `render(["A?", "B?"], ["Yes."])` is `"A? Yes.\nB?"`.

    Raises:
        ValueError: if there are as many answers as turns, so that nothing is left to answer.
    """
    if len(answers) >= len(turns):
        raise ValueError(f"{len(turns)} turns leave nothing to answer after {len(answers)} answers")
    return history(turns[: len(answers) + 1], [" " + answer.strip() for answer in answers])
