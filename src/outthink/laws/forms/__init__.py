"""The forms that laws may take, one file each, by name."""

from __future__ import annotations

from outthink.core.errors import UnknownName
from outthink.laws.forms.base import CountForm, CurveForm, Form
from outthink.laws.forms.beta_binomial import BetaBinomial
from outthink.laws.forms.exponentiated_power_law import ExponentiatedPowerLaw
from outthink.laws.forms.kumaraswamy import Kumaraswamy
from outthink.laws.forms.log_linear import LogLinear
from outthink.laws.forms.log_sigmoid import LogSigmoid
from outthink.laws.forms.parallel_saturation import ParallelSaturation
from outthink.laws.forms.power_law import PowerLaw
from outthink.laws.forms.power_law_with_floor import PowerLawWithFloor
from outthink.laws.forms.saturating_power_law import SaturatingPowerLaw
from outthink.laws.forms.scaled_beta_binomial import ScaledBetaBinomial
from outthink.laws.forms.sequential_saturation import SequentialSaturation

__all__ = ["FORMS", "CountForm", "CurveForm", "Form", "form"]

FORMS: dict[str, type[Form]] = {
    each.name: each
    for each in (
        ExponentiatedPowerLaw, PowerLaw, SaturatingPowerLaw, PowerLawWithFloor, LogLinear, LogSigmoid,
        BetaBinomial, ScaledBetaBinomial, Kumaraswamy, ParallelSaturation, SequentialSaturation,
    )
}  # fmt: skip


def form(name: str) -> Form:
    """The form of that name, hyphens or underscores. Raises UnknownName."""
    found = FORMS.get(name.strip().replace("-", "_"))
    if found is None:
        raise UnknownName("form", name, FORMS)
    return found()
