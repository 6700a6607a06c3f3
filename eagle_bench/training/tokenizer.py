"""The embedded target's tokenizer: byte-level BPE with digits apart, so any text encodes."""

from __future__ import annotations

from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from eagle_bench.training import corpus

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(vocab_size: int, seed: int, samples: int = 4000) -> Tokenizer:
    """A BPE of `vocab_size` pieces learned from `samples` generated conversations."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[corpus.PAD, corpus.END, corpus.USER, corpus.ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    texts = (
        text
        for task in islice(corpus.tasks(f"tokenizer {seed}"), samples)
        for text in (*task.turns, *task.answers)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def as_pretrained(tokenizer: Tokenizer, max_positions: int) -> PreTrainedTokenizerFast:
    """The same tokenizer with EOS, padding and chat template, ready to save."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=corpus.END,
        pad_token=corpus.PAD,
        additional_special_tokens=[corpus.USER, corpus.ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=max_positions,
        clean_up_tokenization_spaces=False,
    )
