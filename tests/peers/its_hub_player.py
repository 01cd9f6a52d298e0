"""Runs in the environment of its_hub, which has nothing of ours: plays one of its searches from a script of steps and draws.

Standard input: {"algorithm": "particle_filter" or "beam_search", "width": ..., "rounds": [[text, ...], ...], "draws": [...],
"scores": {answer so far: score}}. Standard output: what it asked for in each round, and what it ended with.
"""

import asyncio
import json
import random
import sys

from its_hub.api import AbstractLanguageModel, AbstractProcessRewardModel
from its_hub.core.algorithms import particle_gibbs
from its_hub.core.algorithms.beam_search import BeamSearch
from its_hub.core.lms.step_generation import StepGeneration


class Scripted(AbstractLanguageModel):
    """Says in each round what the script says; notes what it was to continue."""

    def __init__(self, rounds):
        self.rounds, self.asked = iter(rounds), []

    async def agenerate(self, messages, stop=None, **settings):
        self.asked.append([each[-1].content if each[-1].role == "assistant" else "" for each in messages])
        said = next(self.rounds)
        assert len(said) == len(messages), f"{len(messages)} steps were asked for and the script has {len(said)}"
        return [{"role": "assistant", "content": text} for text in said]


class Scores(AbstractProcessRewardModel):
    """Scores an answer so far by a table."""

    def __init__(self, table):
        self.table = table

    def score(self, prompt, steps):
        return [self.table[text] for text in steps]

    async def ascore(self, prompt, steps):
        return self.score(prompt, steps)


class Draws(random.Random):
    """Random numbers from a list."""

    def __init__(self, numbers):
        self.numbers = iter(numbers)
        super().__init__()

    def random(self):
        return next(self.numbers)


def main():
    script = json.load(sys.stdin)
    generator = Scripted(script["rounds"])
    steps = StepGeneration(max_steps=8, step_token="\n\n", stop_token=".")
    particle_gibbs.random.choices = Draws(script["draws"]).choices
    if script["algorithm"] == "particle_filter":
        search = particle_gibbs.ParticleFiltering(steps, Scores(script["scores"]), "argmax")
    else:
        search = BeamSearch(steps, Scores(script["scores"]), beam_width=1)
    found = asyncio.run(search.ainfer(generator, "the problem", script["width"], return_response_only=False))
    weights = getattr(found, "log_weights_lst", None)
    json.dump(
        {
            "asked": generator.asked,
            "answers": [response["content"] for response in found.responses],
            "log_weights": None if weights is None else [float(weight) for weight in weights],
            "chosen": found.the_one["content"],
        },
        sys.stdout,
    )


main()
