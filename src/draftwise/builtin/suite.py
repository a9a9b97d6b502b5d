"""Write the evaluation prompts of the built-in suite: `python -m draftwise.builtin.suite`.

The prompts come from the `test` split, which neither training nor the choice of the draft ever sees.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from draftwise.builtin import world

PROMPTS = 24  # a subtask
SEED = 2026
SUITE_FILE = Path(__file__).parents[1] / "tasks" / "data" / "builtin.jsonl"


def _slug(subtask: str) -> str:
    return subtask.replace(" ", "-").replace("_", "-")


def entries(split: world.Split = "test", count: int = PROMPTS, seed: int = SEED) -> Iterator[dict[str, object]]:
    """Draw `count` distinct prompts a subtask, as the objects that the suite file holds."""
    for subtask in world.SUBTASKS:
        rng = random.Random(f"{seed}/{subtask}/{split}")
        seen: set[tuple[str, ...]] = set()
        while len(seen) < count:
            drawn = world.sample(subtask, split, rng)
            if drawn.turns in seen:
                continue
            yield {
                "id": f"{_slug(subtask)}-{len(seen):03d}",
                "subtask": subtask,
                "turns": list(drawn.turns),
                "references": list(drawn.answers),
                "fields": [list(fields) for fields in drawn.fields],
            }
            seen.add(drawn.turns)


def suite_text() -> str:
    """Return the text of the suite file."""
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries())


def main() -> None:
    """Write the suite file in place."""
    SUITE_FILE.write_text(suite_text(), encoding="utf-8")
    print(f"wrote {SUITE_FILE}")


if __name__ == "__main__":
    main()
