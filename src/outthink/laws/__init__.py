"""Scaling laws: measured quality against spend, fitted by a form, with intervals, warnings and refusals.

Measuring is `outthink.evaluation`'s, tables and pictures of laws are `outthink.report.laws`'s.
"""

from outthink.core.errors import MissingExtra

try:
    import numpy as _numpy  # noqa: F401  # asked for here once, so that every module below may import them plainly
    import scipy as _scipy  # noqa: F401  # likewise
except ImportError:
    raise MissingExtra("fitting laws", "evaluate") from None
