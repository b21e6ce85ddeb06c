"""Which price the next plain question asks: between the best proven price and that of the best mixture.

The price of the mixture alone jumps, the more the more sectors there are: with 24 of them it needs hundreds of rounds.
A share β of the best proven price is kept (Wentges 1997); it grows while the bound falls towards the price of the
mixture, and shrinks while it rises (Pessoa, Sadykov, Uchoa and Vanderbeck 2018).
"""

from core.arrays import FloatArray

START, MOST = 0.5, 0.95
SHRINKS_BY, GROWS_BY = 0.1, 0.1


class PriceSearch:
    """The share β, and the two prices between which it lies; ``proven`` is the price of the best bound."""

    def __init__(self, proven: FloatArray) -> None:
        self.proven = proven
        self._share = START
        self._mixed: FloatArray | None = None

    def learn(self, slope: FloatArray) -> None:
        """Adapt β by the slope of the bound at the price that was asked, [M]."""
        if self._mixed is None:
            return
        if slope @ (self._mixed - self.proven) > 0:
            self._share = max(0.0, self._share - SHRINKS_BY)
        else:
            self._share = min(MOST, self._share + GROWS_BY * (1 - self._share))

    def next(self, mixed: FloatArray) -> FloatArray:
        """The price to ask, given that of the best mixture, [M]."""
        self._mixed = mixed
        return self._share * self.proven + (1 - self._share) * mixed
