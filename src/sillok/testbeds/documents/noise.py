"""Noise at stated rates: wrong characters in text, blur in pictures."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALIKE = {"l": "1", "o": "0", "e": "c", "i": "l", "s": "5", "u": "v", "h": "b", "n": "r", "g": "9", "b": "6"}


def ocr_noise(text: str, rate: float, rng: Random) -> tuple[str, int]:
    """Text in which a share of the letters and digits is misread, each as another one; and how many are.

    Half of the errors are those of similar shapes (l as 1, o as 0) where the letter has one.

    Args:
        text: what is misread; spaces and marks stay.
        rate: share of its letters and digits, from 0 to 1.
        rng: where the errors are drawn from.

    Raises:
        ValueError: the rate is not from 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be from 0 to 1, got {rate}")
    letters = list(text)
    places = [at for at, letter in enumerate(letters) if letter.isalnum()]
    wrong = rng.sample(places, round(rate * len(places)))
    for at in wrong:
        alike = ALIKE.get(letters[at])
        others = [letter for letter in LETTERS if letter != letters[at].lower()]
        letters[at] = alike if alike and rng.random() < 0.5 else rng.choice(others)
    return "".join(letters), len(wrong)


def degrade(image: Image, blur: float) -> Image:
    """A picture out of focus: a Gaussian of ``blur`` pixels' standard deviation.

    Raises:
        ValueError: ``blur`` is negative.
    """
    from PIL import ImageFilter

    if blur < 0:
        raise ValueError(f"blur must not be negative, got {blur}")
    return image.filter(ImageFilter.GaussianBlur(blur))
