"""The pair's tokenizer: byte-level BPE trained on the world, so that nearly every word is one token."""

import random
from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from draftwise.builtin import world

BOS, PAD, EOS = 0, 1, 2
SPECIALS = ("<s>", "<pad>", "</s>")
VOCABULARY = 4096
_SEED = 11
_SAMPLES = 20_000  # per subtask


def _texts(samples: int) -> Iterator[str]:
    rng = random.Random(_SEED)
    for subtask in (*world.SUBTASKS, *world.DRILLS):
        for _ in range(samples):
            drawn = world.sample(subtask, "train", rng)
            yield world.render((*drawn.turns, ""), drawn.answers)


def train_tokenizer(samples: int = _SAMPLES, vocabulary: int = VOCABULARY) -> Tokenizer:
    """Train the tokenizer; ids 0, 1 and 2 are `<s>`, `<pad>` and `</s>`, and every prompt begins with `<s>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(text, special=True) for text in SPECIALS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_texts(samples), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BOS)]
    )
    return tokenizer
