"""Texts as sequences of characters: for models that learn to say what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrograd.autograd.methods.creation import from_host
from retrograd.autograd.tensor import Tensor, namespace
from retrograd.data.dataset import Dataset

__all__ = ["CharacterDataset", "Vocabulary", "split_text"]


class Vocabulary:
    """The characters of a text, each with its number: those of the sorted characters, from 0 on.

    >>> letters = Vocabulary("hello")
    >>> len(letters), letters.characters
    (4, 'ehlo')
    >>> letters.encode("hole")
    tensor([1, 3, 2, 0])
    >>> letters.decode([1, 0, 2, 2, 3])
    'hello'
    """

    def __init__(self, characters: Iterable[str]) -> None:
        found = sorted(set(characters))
        if not found:
            raise ValueError("Vocabulary: the text is empty; there are no characters to number.")
        self.characters = "".join(found)
        self._points = np.array([ord(character) for character in found], np.int64)

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and character in self.characters

    def encode(self, text: str) -> Tensor:
        """The numbers of a text's characters, int64, (len(text),), on the default device.

        Raises ValueError for characters that have no number, naming them.
        """
        return from_host(self._numbers(text))

    def decode(self, numbers: Tensor | Sequence[int]) -> str:
        """The text of a sequence of numbers. Raises IndexError for one that no character has."""
        listed = namespace(numbers).to_host(numbers.array) if isinstance(numbers, Tensor) else np.array(numbers, int)
        if listed.size and not 0 <= listed.min() <= listed.max() < len(self):
            raise IndexError(
                f"Vocabulary: numbers must be from 0 to {len(self) - 1}, got {listed.min()} … {listed.max()}."
            )
        return "".join([self.characters[i] for i in listed.ravel()])

    def _numbers(self, text: str) -> NDArray[np.int64]:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
        numbers = np.minimum(np.searchsorted(self._points, points), len(self) - 1)
        unknown = points[self._points[numbers] != points]
        if unknown.size:
            named = ", ".join(repr(chr(point)) for point in np.unique(unknown)[:5])
            raise ValueError(
                f"Vocabulary: the text has characters without a number: {named}; "
                "make the vocabulary of all texts that will be encoded."
            )
        return numbers


class CharacterDataset(Dataset[tuple[Tensor, Tensor]]):
    """Windows of a text: sample i is (inputs, targets), two int64 tensors (length,), the targets one character later.

    text         the text
    length       characters in a window
    vocabulary   numbers of the characters; by default the text's own
    stride       characters from one window to the next: 1 gives every window, `length` windows that do not overlap

    Loaders take a batch (batch, length) by one look-up. On the default device. Raises ValueError for a text that is
    shorter than length + 1, and for numbers below 1.

    >>> data = CharacterDataset("hello", length=3)
    >>> [(data.vocabulary.decode(x), data.vocabulary.decode(y)) for x, y in data]
    [('hel', 'ell'), ('ell', 'llo')]
    """

    def __init__(self, text: str, length: int, vocabulary: Vocabulary | None = None, stride: int = 1) -> None:
        for name, value in (("length", length), ("stride", stride)):
            if value < 1:
                raise ValueError(f"CharacterDataset: {name} must be a positive integer, got {value!r}.")
        if len(text) <= length:
            raise ValueError(
                f"CharacterDataset: a window of {length} characters and the next one need a text of {length + 1}, "
                f"got {len(text)}."
            )
        self.vocabulary = Vocabulary(text) if vocabulary is None else vocabulary
        self.codes = self.vocabulary.encode(text)
        self.length, self.stride = length, stride

    def __len__(self) -> int:
        return (len(self.codes) - self.length - 1) // self.stride + 1

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        start = self._starts([index])[0]
        window = self.codes[start : start + self.length + 1]
        return window[:-1], window[1:]

    def __getbatch__(self, indices: Sequence[int]) -> list[Tensor]:
        """The windows at these numbers, stacked: (batch, length) twice."""
        windows = self.codes[self._starts(indices)[:, None] + np.arange(self.length + 1)]
        return [windows[:, :-1], windows[:, 1:]]

    def _starts(self, indices: Sequence[int]) -> NDArray[np.int64]:
        rows, size = np.asarray(indices, np.int64), len(self)
        if rows.size and not (-size <= rows.min() and rows.max() < size):
            wrong = rows[(rows < -size) | (rows >= size)][0]
            raise IndexError(f"CharacterDataset: index {wrong} is out of range for {size} windows.")
        starts: NDArray[np.int64] = np.where(rows < 0, rows + size, rows) * self.stride
        return starts


def split_text(text: str, length: int, held_out: float = 0.1) -> tuple[CharacterDataset, CharacterDataset]:
    """The beginning of a text for training, in all its windows, and its end, held out, in windows that do not overlap.

    Both have the vocabulary of the whole text. Raises ValueError for a share that leaves either without a window.

    >>> train, val = split_text("to be or not to be, that is the question", length=4, held_out=0.25)
    >>> len(train), len(val), train.vocabulary is val.vocabulary
    (26, 2, True)
    """
    if not 0 < held_out < 1:
        raise ValueError(f"split_text: the held-out share must lie between 0 and 1, got {held_out!r}.")
    cut = len(text) - int(len(text) * held_out)
    vocabulary = Vocabulary(text)
    return (
        CharacterDataset(text[:cut], length, vocabulary),
        CharacterDataset(text[cut:], length, vocabulary, stride=length),
    )
