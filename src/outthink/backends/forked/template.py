"""Chats as text, by the template that comes in the model's own file. The template is foreign code: it runs in a sandbox."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from outthink.core.errors import MissingExtra, Permanent
from outthink.core.prompt import Message

__all__ = ["written"]


def written(template: str, messages: Sequence[Message], marks: Mapping[str, str]) -> str:
    """The turns, and the opening of the assistant's. Raises MissingExtra, Permanent for turns that the template refuses."""
    compiled, refusal = _compiled(template)
    turns = [{"role": message.author, "content": message.content} for message in messages]
    try:
        return str(compiled.render(messages=turns, add_generation_prompt=True, **marks))
    except (refusal, TypeError, ValueError, ArithmeticError) as error:
        raise Permanent(f"the model's chat template refused this chat: {str(error)[:300]}") from None


@functools.lru_cache(8)
def _compiled(template: str) -> tuple[Any, type[Exception]]:
    """The template, and the error it fails with."""
    try:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise MissingExtra("writing chats for this model", "forked") from None

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    # As transformers runs them, which templates are written for.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(template), jinja2.TemplateError
    except jinja2.TemplateError as error:
        raise Permanent(f"the model's chat template can't be read: {str(error)[:300]}") from None
