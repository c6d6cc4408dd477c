"""Quantities as Kubernetes writes them: `500m`, `2`, `16Gi`."""

from __future__ import annotations

from fractions import Fraction

_SUFFIXES = {
    "m": Fraction(1, 1000),
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "P": 1000**5,
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", 1)},
}


def quantity(text: str | int) -> Fraction:
    text = str(text)
    suffix = text.lstrip("0123456789.-+")
    return Fraction(text.removesuffix(suffix)) * (_SUFFIXES[suffix] if suffix else 1)
