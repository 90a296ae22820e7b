"""A similarity's formula in letters, by evaluating its own arithmetic on them."""

from collections.abc import Callable
from typing import Any

from segrisk.similarity import Confusion, Similarity

SUM, PRODUCT, ATOM = 0, 1, 2


class Letters:
    """An expression that writes itself down; `binding` is how tightly it holds together."""

    def __init__(self, text: str, binding: int = ATOM) -> None:
        self.text, self.binding = text, binding

    def within(self, binding: int) -> str:
        """The text, in brackets where it would fall apart inside the other."""
        return self.text if self.binding >= binding else f"({self.text})"

    def __add__(self, other: Any) -> "Letters":
        return _join(self, "+", other)

    def __radd__(self, other: Any) -> "Letters":
        return _join(other, "+", self)

    def __sub__(self, other: Any) -> "Letters":
        return _join(self, "−", other)

    def __rsub__(self, other: Any) -> "Letters":
        return _join(other, "−", self)

    def __mul__(self, other: Any) -> "Letters":
        return _times(self, other)

    def __rmul__(self, other: Any) -> "Letters":
        return _times(other, self)

    def __truediv__(self, other: Any) -> "Letters":
        top, bottom = _letters(self), _letters(other)
        if bottom.text == "1":
            return top
        return Letters(f"{top.within(PRODUCT)} / {bottom.within(ATOM)}", PRODUCT)

    def __pow__(self, power: float) -> "Letters":
        return Letters(f"{self.within(ATOM)}^{power:g}", PRODUCT)

    def __eq__(self, other: object) -> Any:
        return 0  # letters are masses in general position, which no special case is about

    __hash__ = None  # type: ignore[assignment]


def _letters(one: Any) -> Letters:
    return one if isinstance(one, Letters) else Letters(f"{one:g}")


def _join(left: Any, sign: str, right: Any) -> Letters:
    a, b = _letters(left), _letters(right)
    if b.text == "0":
        return a
    if a.text == "0" and sign == "+":
        return b
    return Letters(f"{a.within(SUM)} {sign} {b.within(SUM if sign == '+' else PRODUCT)}", SUM)


def _times(left: Any, right: Any) -> Letters:
    a, b = _letters(left), _letters(right)
    if a.text == "1":
        return b
    return Letters(f"{a.within(PRODUCT)}·{b.within(PRODUCT)}", PRODUCT)


def loss_formula(similarity: Similarity) -> str:
    """The loss 1 − S of a similarity, in the masses tp, fp, fn, tn.

    >>> from segrisk.similarity import jaccard, tversky
    >>> loss_formula(jaccard)
    '1 − tp / (tp + fp + fn)'
    >>> loss_formula(tversky(0.3, 0.7))
    '1 − tp / (tp + 0.3·fp + 0.7·fn)'
    """
    parts: Callable[..., Any] | None = getattr(similarity, "parts", None)
    try:
        numerator, denominator = parts(*(Letters(name) for name in Confusion._fields))  # type: ignore[misc]
        score = _letters(numerator) / denominator
    except Exception:  # arithmetic that letters do not have, in a user's similarity
        return f"1 − {getattr(similarity, 'name', similarity)}"
    return (1 - score).text
