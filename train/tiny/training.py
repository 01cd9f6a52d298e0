"""The training loop: Muon and AdamW, a schedule by minutes, checkpoints that a killed training resumes from.

Nothing here knows what is learned: a `Lesson` gives the batches and the loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from train.tiny.model import Model, Shape

SECONDS_BETWEEN_CHECKPOINTS = 120.0
LAST_RATE = 0.02
"""Part of the learning rate that is left at the end of a decay."""


@dataclass(frozen=True)
class Lesson:
    """What one training learns.

    batches: endless batches from a seed, each a tuple of tensors
    loss:    of a model and a batch
    rate:    learning rate; the same for both optimisers, because Muon's steps are scaled to AdamW's size
    minutes: of training
    decay:   last part of the training in which the rate falls linearly
    warm_up: steps in which it rises
    steps:   of training, if they end it and not the minutes: then the same seed gives the same weights
    """

    name: str
    batches: Callable[[int], Iterator[tuple[Tensor, ...]]]
    loss: Callable[..., Tensor]
    minutes: float
    rate: float = 4e-3
    decay: float = 0.0
    warm_up: int = 50
    steps: int = 0

    def done(self, step: int, seconds: float) -> float:
        """The part of the training that is over."""
        return step / self.steps if self.steps else seconds / (self.minutes * 60)


def rate_at(lesson: Lesson, step: int, done: float) -> float:
    """The learning rate of a step, when a part `done` of the training is over."""
    falling = max(0.0, (done - 1 + lesson.decay) / lesson.decay) if lesson.decay else 0.0
    return lesson.rate * min(1.0, (step + 1) / lesson.warm_up) * (1 - (1 - LAST_RATE) * min(1.0, falling))


def trained(lesson: Lesson, folder: Path, seed: int, start: Path | None = None, marks: dict[str, float] | None = None) -> Path:
    """Train and return the file of the weights, which is in `folder`; where it is there already, nothing is done.

    start: weights to begin with; else random ones
    marks: names of weights to save on the way, and the minutes of training after which
    """
    final, resume = folder / f"{lesson.name}.pt", folder / f"{lesson.name}.resume.pt"
    if final.exists():
        return final
    torch.manual_seed(seed)
    model = loaded(start) if start else Model()
    step, spent, waiting = 0, 0.0, dict(marks or {})
    optimisers = optimisers_of(model)
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        step, spent = state["step"], state["spent"]
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        waiting = {name: at for name, at in waiting.items() if at * 60 > spent}
    batches = lesson.batches(seed * 1_000_003 + step)
    step_loss = torch.compile(lambda *batch: lesson.loss(model, *batch))
    began, saved_at, shown, total = time.monotonic() - spent, time.monotonic(), step, 0.0
    while (done := lesson.done(step, spent := time.monotonic() - began)) < 1:
        batch = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            loss = step_loss(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rate = rate_at(lesson, step, done)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            optimiser.zero_grad()
        step, total = step + 1, total + loss.item()
        if step - shown == 100:
            print(f"{lesson.name}: step {step}, {spent / 60:.1f} min, rate {rate:.5f}, loss {total / 100:.4f}", flush=True)
            shown, total = step, 0.0
        for name in [name for name, at in waiting.items() if spent >= at * 60]:
            del waiting[name]
            save(model, folder / f"{name}.pt", step)
        if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            saved_at = time.monotonic()
            state = {"step": step, "spent": spent, "model": model.state_dict()}
            replaced(state | {"optimisers": [optimiser.state_dict() for optimiser in optimisers]}, resume)
    save(model, final, step)
    resume.unlink(missing_ok=True)
    return final


def optimisers_of(model: Model) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the embedding and the norms."""
    matrices = [parameter for block in model.blocks for parameter in block.parameters() if parameter.dim() == 2]
    others = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
    muon = torch.optim.Muon(matrices, lr=0.0, momentum=0.95, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0)]


def save(model: Model, path: Path, step: int) -> None:
    """Write weights, with the model's shape and the steps that it was trained."""
    replaced({"shape": asdict(model.shape), "model": model.state_dict(), "step": step}, path)


def replaced(state: dict[str, object], path: Path) -> None:
    """Write a file in one go, so that a kill leaves the old one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def loaded(path: Path) -> Model:
    """The model of a file of weights."""
    state = torch.load(path, weights_only=True)
    model = Model(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model
