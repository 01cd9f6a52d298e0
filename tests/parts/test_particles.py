"""Populations sample the laws they name: against enumerated ones, at any size, by every resampling scheme."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping

import pytest

from outthink.core.errors import BadInput, NoAnswer, UnknownName
from outthink.parts.particles import Resampling, Sweep, normalised, one_of
from outthink.parts.potentials import Potential, aimed
from outthink.parts.resampling import RESAMPLERS
from outthink.parts.tempering import descending, exchanged, swap_chance
from outthink.parts.traces import ROOT, Trace
from outthink.testing.exact import tilted
from outthink.testing.trees import Node
from tests.parts.particle_worlds import TOY, UNEVEN, along, answer, apart, estimated, masses, probability_of, stepped, swept

TARGETS = ("product", "final", "bernoulli")
SETTINGS = [(1.0, "frozen"), (0.7, "resampled"), (1.0, "resampled"), (0.7, "frozen")]
RULES = [Resampling(scheme, *SETTINGS[(at + shift) % len(SETTINGS)]) for at, scheme in enumerate(RESAMPLERS) for shift in (0, 1)]
POTENTIALS: list[Potential] = [
    aimed("product"),
    aimed("final", (3.0, 1.0)),
    aimed("bernoulli"),
    Potential("max", (1.5,)),
    Potential("add", (1.5,), every=2),
    Potential("rt", (1.5,), "logit"),
    Potential("is", (2.0,)),
    Potential("bon"),
]


def law(root: Node, potential: Potential) -> tuple[float, dict[str, float]]:
    """Normalising constant and law of a potential, from what it says about whole answers."""
    factor = {"identity": math.exp, "logit": lambda s: s / (1 - s), "log": lambda s: s}[potential.transform]
    strength = 0.0 if potential.form == "bon" else potential.strengths[-1]
    each = slice(None) if potential.form == "step" else slice(-1, None)
    return tilted(root, lambda nodes: math.prod(factor(node.score) ** strength for node in nodes[each]))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("root", [TOY, UNEVEN], ids=["even", "uneven"])
def test_constants_and_masses_are_unbiased_at_any_size(rule: Resampling, root: Node) -> None:
    for seed, potential in enumerate(POTENTIALS):
        evidence, posterior = law(root, potential)
        chance = random.Random(seed)
        found = [estimated(Sweep(3, potential, rule), root, chance) for _ in range(250)]
        assert apart([constant for constant, _ in found], evidence) < 4.5
        for name, share in posterior.items():
            assert apart([parts.get(name, 0.0) for _, parts in found], evidence * share) < 4.5


@pytest.mark.parametrize(
    ("potential", "wanted"),
    [
        (aimed("product"), {"A1": 0.9231}),
        (aimed("final"), {"A1": 0.7347}),
        (aimed("bernoulli"), {"A1": 0.5294}),
        *[
            (Potential(form, transform="logit"), {"A0": 0.0204, "A1": 0.7347, "B0": 0.1224, "B1": 0.1224})
            for form in ("diff", "max", "add", "rt", "is")
        ],
        *[
            (Potential(form, transform="logit", compat=True), {"A0": 0.0204, "A1": 0.7347, "B0": 0.1224, "B1": 0.1224})
            for form in ("diff", "rt")
        ],
        (Potential("max", transform="logit", compat=True), {"A0": 0.25, "A1": 0.5625, "B0": 0.0938, "B1": 0.0938}),
        (Potential("add", transform="logit", compat=True), {"A0": 0.0256, "A1": 0.9231, "B0": 0.0256, "B1": 0.0256}),
        (Potential("bon", transform="logit"), {"A0": 0.25, "A1": 0.25, "B0": 0.25, "B1": 0.25}),
        (Potential("diff", (0.0,)), {"A0": 0.25, "A1": 0.25, "B0": 0.25, "B1": 0.25}),
    ],
    ids=lambda value: f"{value.form}-{value.transform}-{value.compat}" if isinstance(value, Potential) else "",
)
def test_the_cards_two_step_toy(potential: Potential, wanted: Mapping[str, float]) -> None:
    # Between one law and the next in the cards are 0.1 and more.
    sweep = swept(Sweep(10_000, potential, Resampling()), TOY, random.Random(1))
    total = math.fsum(masses(sweep).values())
    for name, share in wanted.items():
        assert masses(sweep)[name] / total == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("scheme", RESAMPLERS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_drawn_trace_has_the_law(scheme: str, target: str) -> None:
    for seed, root in ((1, TOY), (2, UNEVEN)):
        chance, potential = random.Random(seed), aimed(target)
        _, posterior = law(root, potential)
        sweeps = (swept(Sweep(60, potential, Resampling(scheme)), root, chance) for _ in range(150))
        assert probability_of((answer(one_of(sweep.particles, chance)) for sweep in sweeps), posterior) > 1e-4


def references(root: Node, potential: Potential, count: int, chance: random.Random) -> list[Trace]:
    """Exact draws from the law."""
    traces = [along(root, path) for path, _, _ in root.leaves()]
    odds = [share * math.exp(potential.total(trace)) for trace, (_, share, _) in zip(traces, root.leaves(), strict=True)]
    return chance.choices(traces, odds, k=count)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_particle_gibbs_keeps_its_law_at_any_width(rule: Resampling) -> None:
    # From an exact draw, a sweep around it gives an exact draw: also with two particles.
    cases = [(aimed("product", (3.0,)), UNEVEN, 2), (aimed("final"), TOY, 3), (aimed("bernoulli"), UNEVEN, 4)]
    for seed, (potential, root, width) in enumerate(cases):
        chance, (_, posterior) = random.Random(seed), law(root, potential)
        before = references(root, potential, 1200, chance)
        sweeps = (swept(Sweep(width, potential, rule, trace), root, chance) for trace in before)
        after = [one_of(sweep.particles, chance) for sweep in sweeps]
        assert probability_of(map(answer, before), posterior) > 1e-4
        assert probability_of(map(answer, after), posterior) > 1e-4
        assert sum(one != other for one, other in zip(before, after, strict=True)) > 200


def test_a_reference_goes_its_way_unchanged() -> None:
    for seed in range(60):
        chance, potential = random.Random(seed), aimed("product")
        (reference,) = references(UNEVEN, potential, 1, chance)
        for rule in RULES:
            sweep = Sweep(3, potential, rule, reference)
            while sweep.open:
                sweep.take(iter([stepped(UNEVEN, trace, chance) for trace in sweep.growing()]), chance)
                assert sweep.particles[0].trace == reference.cut(sweep.depth)
                assert all(p.trace.depth == sweep.depth or p.trace.ended is not None for p in sweep.particles)
            assert sweep.particles[0].trace is reference


def test_chains_that_change_places_keep_their_joint_law() -> None:
    temperatures, chance = (3.0, 1.0), random.Random(11)
    potentials = [aimed("product", (temperature,)) for temperature in temperatures]
    laws = [law(TOY, potential)[1] for potential in potentials]
    joint = {f"{hot} {cold}": laws[0][hot] * laws[1][cold] for hot, cold in itertools.product(*laws)}
    found, moved = [], 0
    for pair in zip(*(references(TOY, potential, 1500, chance) for potential in potentials), strict=True):
        drawn = [
            one_of(swept(Sweep(2, potential, Resampling(), trace), TOY, chance).particles, chance)
            for potential, trace in zip(potentials, pair, strict=True)
        ]
        after = exchanged(drawn, temperatures, aimed("product"), chance)
        moved += after != drawn
        found.append(" ".join(map(answer, after)))
    assert moved > 100
    assert probability_of(found, joint) > 1e-4


def test_the_chance_to_change_places() -> None:
    assert swap_chance(0.0, 1.0, 2.0, 1.0) == pytest.approx(math.exp(-0.5))
    assert swap_chance(1.0, 0.0, 2.0, 1.0) == 1, "the cold chain should have the better trace"
    assert swap_chance(0.3, 0.9, 1.5, 1.5) == 1
    for wrong in ((), (1.0, 2.0), (1.0, 0.0), (math.inf, 1.0), (math.nan,)):
        with pytest.raises(BadInput, match="temperatures"):
            descending(wrong)


def test_weights_that_led_to_no_resampling_count_unless_forgotten() -> None:
    # Weights differ by 9 to 1 in the end, but one step's alone never enough to resample at this threshold.
    potential, wanted = Potential("diff", transform="logit"), law(TOY, aimed("final"))[1]["A1"]
    found = {}
    for carried in (True, False):
        chance = random.Random(3)
        rule = Resampling(ess=0.2, carried=carried)
        shares = []
        for _ in range(40):
            sweep = swept(Sweep(200, potential, rule), TOY, chance)
            shares.append(masses(sweep)["A1"] / math.fsum(masses(sweep).values()))
        found[carried] = sum(shares) / len(shares)
    assert found[True] == pytest.approx(wanted, abs=0.01)
    assert abs(found[False] - wanted) > 0.1


def test_official_codes_favour_what_ends_early() -> None:
    # Odds above 1 all along: what has ended is weighed again while the other grows.
    root = Node(below={"short": Node(0.5, 0.9), "on": Node(0.5, 0.5, {"far": Node(1, 0.5, {"long": Node(1, 0.5)})})})
    shares = {}
    for finished in ("frozen", "resampled", "again"):
        sweep = swept(Sweep(4000, aimed("product"), Resampling(finished=finished)), root, random.Random(0))
        shares[finished] = masses(sweep)["short"] / math.fsum(masses(sweep).values())
    assert shares["frozen"] == pytest.approx(0.9, abs=0.01)
    assert shares["resampled"] == pytest.approx(0.9, abs=0.01)
    assert shares["again"] > 0.99


def test_the_variance_of_the_constant_falls_with_the_size() -> None:
    def variance(size: int) -> float:
        chance = random.Random(5)
        found = [math.exp(swept(Sweep(size, aimed("product"), Resampling()), TOY, chance).log_evidence) for _ in range(300)]
        mean = sum(found) / len(found)
        return sum((each - mean) ** 2 for each in found) / len(found)

    assert variance(4) / variance(32) == pytest.approx(8, rel=0.5)


def test_steps_that_fail_bias_nothing() -> None:
    for rule in (Resampling(), Resampling("ssp", 0.5, "resampled")):
        chance, (evidence, posterior) = random.Random(4), law(UNEVEN, aimed("final"))
        found = [swept(Sweep(20, aimed("final"), rule), UNEVEN, chance, fails=0.4) for _ in range(200)]
        assert apart([math.exp(sweep.log_evidence) for sweep in found], evidence) < 4.5
        assert apart([masses(sweep).get("gold", 0.0) for sweep in found], evidence * posterior["gold"]) < 4.5


def test_equal_scores_change_nothing() -> None:
    flat = Node(below={name: Node(share, 0.6, {f"{name}1": Node(1, 0.6)}) for name, share in (("x", 0.7), ("y", 0.3))})
    for scheme in RESAMPLERS:
        sweep, chance, seen = Sweep(9, aimed("product"), Resampling(scheme)), random.Random(2), []
        while sweep.open:
            grown = [stepped(flat, trace, chance) for trace in sweep.growing()]
            sweep.take(iter(grown), chance)
            seen.append([particle.trace for particle in sweep.particles] == grown)
        assert seen == [True, True]


def test_temperature_limits() -> None:
    chance = random.Random(8)
    hot, cold = (Sweep(40, aimed("product", (temperature,)), Resampling()) for temperature in (1e12, 1e-3))
    for sweep in (hot, cold):
        grown = [stepped(TOY, ROOT, chance) for _ in range(40)]
        sweep.take(iter(grown), chance)
        if sweep is hot:
            assert sorted(p.trace.text for p in sweep.particles) == sorted(trace.text for trace in grown)
        else:
            assert {p.trace.text for p in sweep.particles} == {"A/"}


def test_one_particle_is_plain_sampling() -> None:
    for potential in POTENTIALS:
        for seed in range(30):
            sweep, trace = Sweep(1, potential, Resampling()), ROOT
            chance, other = random.Random(seed), random.Random(seed)
            while sweep.open:
                (grown,) = [stepped(TOY, trace, chance) for trace in sweep.growing()]
                sweep.take(iter([grown]), random.Random(0))
                trace = stepped(TOY, trace, other)
                assert sweep.particles[0].trace == trace


def test_a_population_that_is_lost_says_why() -> None:
    mute = Node(below={"?": Node(0.0)})
    with pytest.raises(NoAnswer, match="all 3 traces are lost at step 1: the verifier scored none"):
        swept(Sweep(3, aimed("final"), Resampling()), mute, random.Random(0))
    with pytest.raises(NoAnswer, match="the next step of each failed"):
        Sweep(3, aimed("final"), Resampling()).take(iter([None] * 3), random.Random(0))


def test_what_is_no_population_is_refused() -> None:
    with pytest.raises(BadInput, match="too small"):
        Sweep(0, aimed("final"), Resampling())
    with pytest.raises(BadInput, match="beside a reference"):
        Sweep(1, aimed("final"), Resampling(), ROOT)
    with pytest.raises(UnknownName, match="systematic"):
        Resampling("sytematic")
    with pytest.raises(UnknownName, match="frozen"):
        Resampling(finished="froze")
    with pytest.raises(BadInput, match="ess"):
        Resampling(ess=1.5)


def test_normalised_weights_sum_to_one() -> None:
    sweep = swept(Sweep(5, aimed("product"), Resampling(ess=0.0)), TOY, random.Random(0))
    assert math.fsum(math.exp(particle.log_weight) for particle in normalised(sweep.particles)) == pytest.approx(1)
