"""Finds the number of requests at once that keeps an endpoint saturated. Sans-IO; who waits for a slot is the limiter's."""

from __future__ import annotations

__all__ = ["LimitSearch"]


class LimitSearch:
    """Finds the smallest limit that keeps an endpoint saturated. Sans-IO: told what happened, it says the `limit`.

    Throughput at a limit L is L times the speed of one slot (work over time, summed over calls that began under L and
    ended while all L slots were in use). Sums of a ratio, so that long and short generations weigh by their time and the
    edges of a window don't matter.

    First the limit doubles while that multiplies throughput by GAIN or more, and goes back one step when the server
    refuses. Then it tries one neighbour at a time, above and below in turn, from a base: a neighbour above replaces the
    base where throughput rises by at least a third of what the added slots could give, one below where it falls by less
    than that. A failed trial halves the next step and lengthens the rest until the next one. A refusal at the base itself
    shrinks it to SHRINK of itself, once for all calls begun under the same limit.
    """

    GAIN = 1.4
    SHRINK = 0.8
    LONGEST_REST = 16
    SMALLEST_WINDOW = 16

    def __init__(self, start: int, most: int) -> None:
        self.limit = start
        self.epoch = 0  # grows with every change of the limit
        self._most = most
        self._base = start  # the limit that trials are compared with
        self._rate = 0.0  # throughput at the base; 0 where it isn't known
        self._doubling = True
        self._proven = start  # the greatest limit that served a whole window without a refusal
        self._upward = True  # the direction of the next trial
        self._step = 0.25
        self._rest = 0  # windows at the base before the next trial
        self._patience = 1
        self._clear_window()

    def succeeded(self, epoch: int, seconds: float, work: float) -> None:
        """A call begun in `epoch` was answered, and the limit was fully used."""
        if epoch != self.epoch:
            return
        self._calls += 1
        self._work += work
        self._time += seconds
        factor = 1 if self._doubling else 2
        if self._calls >= max(self.limit * factor, self.SMALLEST_WINDOW // (2 if self._doubling else 1)):
            rate = self.limit * self._work / self._time if self._time > 0 else float("inf")
            self._proven = max(self._proven, self.limit)
            self._clear_window()
            (self._doubled if self._doubling else self._tried)(rate)

    def overloaded(self, epoch: int) -> None:
        """A call begun in `epoch` was refused, or timed out."""
        if epoch != self.epoch:
            return  # the limit has changed since: this is old news
        if self._doubling and self._rate:
            self._doubling = False
            self._move(self._base)
        elif not self._doubling and self.limit > self._base:
            self._fail()
        else:
            self._base = max(1, int(self.limit * self.SHRINK))
            self._rate = 0.0
            self._doubling = self._base * 2 <= self._proven  # far below what once worked: come back fast
            self._patience = 1
            self._rest = 0
            self._move(self._base)

    def _doubled(self, rate: float) -> None:
        if self._rate and rate < self.GAIN * self._rate:
            self._doubling = False
            if rate > (1 + (self.GAIN - 1) / 2) * self._rate:
                self._base, self._rate = self.limit, rate
            self._move(self._base)
            return
        self._base, self._rate = self.limit, rate
        if self.limit >= self._most:
            self._doubling = False
        self._move(min(2 * self.limit, self._most))

    def _tried(self, rate: float) -> None:
        if self.limit == self._base:
            self._rate = 0.5 * (self._rate + rate) if self._rate else rate
            self._rest -= 1
            if self._rest < 0:
                self._try()
            return
        change = self.limit / self._base - 1
        if rate > (1 + change / 3) * self._rate:
            self._base, self._rate = self.limit, rate
            self._step = min(2 * self._step, 0.25)
            self._patience = 1
            self._try()
        else:
            self._fail()

    def _try(self) -> None:
        step = max(1, int(self._base * self._step))
        limit = min(self._base + step, self._most) if self._upward else max(self._base - step, 1)
        if limit == self._base:
            self._upward = not self._upward
        self._move(limit)

    def _fail(self) -> None:
        self._upward = not self._upward
        self._step = max(self._step / 2, 0.03)
        self._patience = min(2 * self._patience, self.LONGEST_REST)
        self._rest = self._patience
        self._move(self._base)

    def _move(self, limit: int) -> None:
        if limit != self.limit:
            self.limit = limit
            self.epoch += 1
        self._clear_window()

    def _clear_window(self) -> None:
        self._calls = 0
        self._work = 0.0
        self._time = 0.0
