"""The recipe: shapes of the pair, and the schedule of each, fixed by steps so that it reproduces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from draftwise.builtin.tokenizer import BOS, EOS, PAD

if TYPE_CHECKING:
    from transformers import OPTConfig

POSITIONS = 2048


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of an OPT model."""

    hidden: int
    heads: int
    feed_forward: int
    layers: int

    def config(self, vocabulary: int) -> "OPTConfig":
        """Return the configuration that `transformers` builds the model from."""
        from transformers import OPTConfig

        return OPTConfig(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            word_embed_proj_dim=self.hidden,
            num_attention_heads=self.heads,
            ffn_dim=self.feed_forward,
            num_hidden_layers=self.layers,
            max_position_embeddings=POSITIONS,
            do_layer_norm_before=True,
            activation_function="relu",
            dropout=0.0,
            attention_dropout=0.0,
            layerdrop=0.0,
            bos_token_id=BOS,
            pad_token_id=PAD,
            eos_token_id=EOS,
            tie_word_embeddings=True,
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training on one mix; it ends before step `until`."""

    until: int
    mix: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model of the pair is trained."""

    shape: Shape
    phases: tuple[Phase, ...]
    steps: int
    decay: int  # the last steps, over which the learning rate falls to zero
    seed: int
    lines: int = 48  # a step
    groups: int = 3  # batches of like length a worker and step
    workers: int = 2  # processes of one thread
    matrix_rate: float = 0.02  # Muon
    rate: float = 2.5e-3  # AdamW, for words' embeddings, norms and biases
    slow_rate: float = 2e-4  # AdamW, for what `start.py` prepares
    warm_up: int = 60
    prompt_weight: float = 0.1
    clip: float = 1.0

    def mix(self, step: int) -> Mapping[str, float]:
        """Return the mix of a step; the last phase has no end."""
        return next((phase.mix for phase in self.phases if step < phase.until), self.phases[-1].mix)

    def scale(self, step: int) -> float:
        """Return the learning rate of a step as a share of the highest: linear warm-up, flat, linear decay."""
        return min((step + 1) / self.warm_up, 1.0, (self.steps - step) / self.decay)


_EARLY = {
    "multi-turn": 1.0, "translation": 1.5, "summarization": 0.5, "qa": 3.0, "math_reasoning": 2.0, "rag-easy": 2.0,
    "recall": 1.5, "law analytics": 0.3, "law-easy": 1.0, "grammar correction": 1.0, "equations": 1.5,
}  # fmt: skip
_LATE = {
    "multi-turn": 1.0, "translation": 1.5, "summarization": 0.8, "qa": 3.0, "math_reasoning": 3.5, "rag": 1.7,
    "rag-easy": 0.5, "recall": 0.2, "law analytics": 1.7, "grammar correction": 1.2, "equations": 1.0,
}  # fmt: skip
# The draft should be good at language and weak at memory, so it sees fewer facts.
_DRAFT = {
    "multi-turn": 0.5, "translation": 2.2, "summarization": 2.0, "qa": 1.0, "math_reasoning": 1.7, "rag": 1.6,
    "law analytics": 1.8, "grammar correction": 1.3, "equations": 0.3,
}  # fmt: skip

TARGET = Recipe(Shape(256, 4, 1024, 8), (Phase(150, _EARLY), Phase(1100, _LATE)), steps=1100, decay=350, seed=3)
DRAFT = Recipe(
    Shape(128, 2, 512, 2),
    (Phase(800, _DRAFT),),
    steps=800,
    decay=300,
    seed=5,
    matrix_rate=0.03,
    rate=5e-3,
)
RECIPES = {"target": TARGET, "draft": DRAFT}
