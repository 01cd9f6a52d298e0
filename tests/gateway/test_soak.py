"""The soak of benchmarks/, for seconds instead of minutes."""

from __future__ import annotations

import pytest
from benchmarks.soak import soak


@pytest.mark.slow
def test_mixed_load_with_faults_loses_nothing() -> None:
    assert soak(8.0) == []
