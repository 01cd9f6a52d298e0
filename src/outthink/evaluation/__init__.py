"""Pools of recorded samples, estimators with intervals, curves and comparisons. Presenting them is `outthink.report`'s."""

from outthink.core.errors import MissingExtra

try:
    import numpy as _numpy  # noqa: F401  # asked for here once, so that every module below may import them plainly
    import polars as _polars  # noqa: F401  # likewise
except ImportError:
    raise MissingExtra("evaluating", "evaluate") from None
