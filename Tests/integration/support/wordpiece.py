"""A small BERT tokenizer (lower-casing WordPiece), enough to feed the sentence-embedding model of the tests.

It exists so that the tests need no tokenizer package: the vocabulary is one text file, the algorithm is short.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

MAX_TOKENS = 256
MAX_WORD = 100

# Code-point ranges that BERT treats as one word per character.
CJK_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Turns sentences into the three INT64 inputs of a BERT model."""

    def __init__(self, vocabulary: Path) -> None:
        words = vocabulary.read_text(encoding="utf-8").splitlines()
        self.ids = {word: index for index, word in enumerate(words)}

    def batch(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """input_ids, attention_mask and token_type_ids, padded to the longest sentence."""
        rows = [self.encode(sentence) for sentence in sentences]
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return [ids, mask, np.zeros_like(ids)]

    def encode(self, sentence: str) -> list[int]:
        """The token numbers of one sentence, between [CLS] and [SEP]."""
        pieces = [piece for word in split_words(sentence) for piece in self._pieces(word)]
        return [self.ids[token] for token in ("[CLS]", *pieces[: MAX_TOKENS - 2], "[SEP]")]

    def _pieces(self, word: str) -> list[str]:
        """Longest match first; a word that cannot be covered entirely is one [UNK]."""
        pieces: list[str] = []
        while word:
            prefix = "##" if pieces else ""
            length = next((n for n in range(len(word), 0, -1) if prefix + word[:n] in self.ids), 0)
            if length == 0 or len(word) > MAX_WORD:
                return ["[UNK]"]
            pieces.append(prefix + word[:length])
            word = word[length:]
        return pieces


def split_words(text: str) -> Iterator[str]:
    """Words and single punctuation marks, lower-case and without accents."""
    word = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        if is_dropped(character):
            continue
        if not character.isspace() and not stands_alone(character):
            word += character
            continue
        if word:
            yield word
        word = ""
        if stands_alone(character):
            yield character
    if word:
        yield word


def is_dropped(character: str) -> bool:
    """Combining accents (left over by the decomposition) and control characters vanish."""
    if character in "\t\n\r":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Mn", "Cc", "Cf")


def stands_alone(character: str) -> bool:
    """Punctuation, ASCII symbols and CJK ideographs are words of their own."""
    code = ord(character)
    ascii_symbol = 33 <= code <= 126 and not character.isalnum()
    ideograph = any(low <= code <= high for low, high in CJK_RANGES)
    return ascii_symbol or ideograph or unicodedata.category(character).startswith("P")
