"""One check per feature that a single reply, or a few, can prove. What needs a clock is in `probe_timing`.

Each check looks at an effect that the feature alone can have: a field that was only accepted is a no.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from outthink.backends.probe_ask import FAILURES, Ask, Finding, text_of

__all__ = ["CHECKS"]

WIDE = 16  # tokens within which samples of a random text are expected to part
GUESS = "Write eight random digits, then eight random letters."
STORY = "Tell me in three sentences what bees do."
FACTS = "List the seven days of the week in their order, then the months of the year."


async def chat(ask: Ask) -> Finding:
    """A chat gets a text."""
    reply = await ask.chat(STORY, max_tokens=8)
    return Finding("chat", "yes" if reply.text else "no", f"a chat gave {_short(reply.text)}")


async def raw(ask: Ask) -> Finding:
    """A raw prompt gets a text."""
    reply = await ask.raw("Monday, Tuesday, Wednesday,", max_tokens=8)
    return Finding("raw", "yes" if reply.text else "no", f"a raw prompt gave {_short(reply.text)}")


async def max_tokens(ask: Ask) -> Finding:
    """A low limit ends a sample that is longer without it."""
    free = await ask.greedy(FACTS)
    cut = await ask.chat(FACTS, max_tokens=4, temperature=0)
    seen = f"limits of 24 and 4 gave {len(free.text)} and {len(cut.text)} characters, the latter ended by {cut.finish!r}"
    if len(cut.text) < len(free.text) and cut.finish == "length":
        return Finding("max_tokens", "yes", seen)
    return Finding("max_tokens", "no" if cut.finish != "stop" or len(cut.text) > 60 else "unknown", seen)


async def usage(ask: Ask) -> Finding:
    """Reported tokens agree with a limit that was hit, and with the log-probabilities that came."""
    wrong, seen, checked = [], [], 0
    for limit in (5, 6, 7):
        reply = await ask.chat(FACTS, max_tokens=limit)
        seen.append(reply.completion)
        checked += reply.finish == "length"
        if reply.completion is not None and reply.finish == "length" and reply.completion != limit:
            wrong.append(f"{reply.completion} reported where {limit} were generated")
    if None in seen:
        return Finding("usage", "no", "a reply reported no completion tokens, or absurd ones")
    if not checked:
        return Finding("usage", "unknown", f"no limit of 5, 6 or 7 tokens was hit; {seen} were reported")
    return Finding("usage", "no" if wrong else "yes", "; ".join(wrong) or f"limits of 5, 6, 7 were reported as {seen}")


async def n(ask: Ask) -> Finding:
    """As many different choices as were asked for, at temperature 1."""
    most, evidence = 1, ""
    for count in (2, 8):
        texts: list[str] = []
        for seed in (11, 12):
            try:
                reply = await ask.chat(GUESS, n=count, max_tokens=WIDE, seed=seed)
            except FAILURES as error:
                evidence = evidence or f"n={count} was refused: {error}"
                break
            texts = [text_of(choice) for choice in reply.choices]
            evidence = f"n={count} gave {len(texts)} choices, {len(set(texts))} of them different"
            if len(texts) != count or len(set(texts)) > 1:
                break
        if len(texts) != count or len(set(texts)) < 2:
            break
        most = count
    if most > 1:
        return Finding("n", "yes", evidence, most)
    apart = [(await ask.chat(GUESS, max_tokens=WIDE, seed=seed)).text for seed in (11, 12, 13)]
    if len(set(apart)) > 1:
        return Finding("n", "emulated", f"{evidence}; separate requests give different samples: n as parallel requests", 1)
    return Finding("n", "unknown", f"{evidence}; separate requests with different seeds gave one text too", 1)


async def seed(ask: Ask) -> Finding:
    """The same seed repeats, another one does not, and neighbours in the batch change nothing."""
    texts = [(await ask.chat(GUESS, max_tokens=WIDE, seed=21)).text for _ in range(2)]
    others = [(await ask.chat(GUESS, max_tokens=WIDE, seed=seed)).text for seed in (22, 23)]
    if len(set(texts)) > 1:
        return Finding("seed", "no", "the same seed gave different texts")
    if set(others) == set(texts):
        return Finding("seed", "unknown", "all seeds gave the same text: it can't be told whether they are heeded")
    crowd = await asyncio.gather(*(ask.chat(GUESS, max_tokens=WIDE, seed=seed) for seed in (21, 31, 21, 32)))
    if {reply.text for reply in crowd[::2]} != set(texts):
        return Finding("seed", "no", "a seed repeats alone, but not beside other requests")
    return Finding("seed", "yes", "one seed gave one text 4 times, alone and beside others; other seeds gave other texts")


async def logprobs(ask: Ask) -> Finding:
    """Log-probabilities are present, not positive, sum to at most 1, and as many alternatives as asked for."""
    best, evidence = -1, "none came"
    for top in (20, 5, 1):
        try:
            reply = await ask.chat(STORY, max_tokens=4, logprobs=True, top_logprobs=top)
        except FAILURES as error:
            evidence = f"{top} alternatives were refused: {error}"
            continue
        found = reply.choices[0].get("logprobs") if reply.choices else None
        rows = found.get("content") if isinstance(found, dict) else None
        if not isinstance(rows, list) or not rows:
            continue
        wrong = _wrong_logprobs(rows)
        if wrong:
            return Finding("logprobs", "no", wrong, -1)
        best = min(len(row["top_logprobs"]) for row in rows)
        evidence = f"{top} alternatives were asked for and {best} came with each of {len(rows)} tokens"
        break
    if best < 0:
        return Finding("logprobs", "no", evidence, -1)
    return Finding("logprobs", "yes", f"{evidence}; {await _temperature_of_logprobs(ask)}", best)


def _wrong_logprobs(rows: Iterable[Any]) -> str:
    """What is wrong with them; "" for nothing."""
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("top_logprobs"), list):
            return "tokens came without alternatives"
        alternatives = row["top_logprobs"]
        found = [row.get("logprob"), *(other.get("logprob") for other in alternatives if isinstance(other, dict))]
        values = [value for value in found if isinstance(value, float | int) and value <= 1e-3]
        if len(values) != len(found):
            return "a log-probability is no number, or above 0"
        if math.fsum(map(math.exp, values[1:])) > 1.001:
            return "the alternatives' probabilities sum to more than 1"
    return ""


def _fine(value: object) -> bool:
    return isinstance(value, float | int) and value <= 1e-3


async def _temperature_of_logprobs(ask: Ask) -> str:
    """Whether they describe the model or the sampler: the best first token's at two temperatures, and once more."""
    firsts = []
    for temperature, seed in ((1.0, 1), (1.0, 2), (0.5, 1)):
        reply = await ask.chat(STORY, max_tokens=1, logprobs=True, top_logprobs=1, temperature=temperature, seed=seed)
        firsts.append(reply.choices[0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"])
    noise = 1e-2 * abs(firsts[0]) + 1e-3
    if abs(firsts[0] - firsts[1]) > noise:
        return "they differ from request to request"
    return f"they are taken {'before' if abs(firsts[0] - firsts[2]) <= noise else 'after'} the temperature"


async def prefix(ask: Ask) -> Finding:
    """An answer cut at a word and given back as an open turn is continued where it was cut."""
    for question in (FACTS, STORY):
        whole = (await ask.greedy(question)).text
        cut = whole.find(" ", 12)
        if cut < 0 or len(whole) < cut + 6:
            continue
        begun, rest = whole[:cut], whole[cut:]
        try:
            text = (await ask.continued(question, begun, told=True, max_tokens=10, temperature=0)).text
        except FAILURES as error:
            return Finding("prefix", "no", f"an open assistant turn was refused: {error}")
        if ask.engine.echoes:
            text = text.removeprefix(begun)
        seen = f"the beginning {_short(begun)} was continued with {_short(text)}"
        if text[:5] == rest[:5]:
            return Finding("prefix", "yes", seen)
        if text.lstrip()[:8] == whole.lstrip()[:8]:
            return Finding("prefix", "no", f"{seen}: it begins again")
    return Finding("prefix", "unknown", "the model's answers were too short, or went on in another way")


async def stop(ask: Ask) -> Finding:
    """A word that ends a sample when it is a stop string, and is in it when it is not."""
    whole = (await ask.greedy(FACTS)).text
    words = [word for word in whole[8:].split() if len(word) > 2]
    if not words:
        return Finding("stop", "unknown", f"the model's answer was too short: {_short(whole)}")
    word = words[len(words) // 2]
    text = (await ask.chat(FACTS, max_tokens=24, temperature=0, stop=[word])).text
    seen = f"with the stop string {word!r}, {len(whole)} characters became {len(text)}"
    return Finding("stop", "yes" if word not in text and len(text) < len(whole) else "no", seen)


async def stream(ask: Ask) -> Finding:
    """A stream comes in pieces that are the whole text."""
    whole = (await ask.greedy(FACTS)).text
    pieces = [reply.text for reply in await ask.streamed(FACTS, None, max_tokens=24, temperature=0)]
    if len(pieces) < 2:
        return Finding("stream", "no" if len(whole.split()) > 3 else "unknown", f"the text came in {len(pieces)} pieces")
    same = "the same text as" if "".join(pieces) == whole else "another text than"
    return Finding("stream", "yes", f"{len(pieces)} pieces, {same} without a stream")


async def prompt_logprobs(ask: Ask) -> Finding:
    """One log-probability per prompt token but the first, from vLLM's field or from echo."""
    text = "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday."
    seen = []
    forms: Mapping[str, dict[str, object]] = {"prompt_logprobs": {"prompt_logprobs": 1}, "echo": {"echo": True, "logprobs": 1}}
    for form, fields in forms.items():
        try:
            reply = await ask.raw(text, max_tokens=1, **fields)
        except FAILURES as error:
            seen.append(f"{form} was refused: {error}")
            continue
        values = _prompt_values(reply.choices[0] if reply.choices else {}, reply.completion or 1)
        count = reply.prompt if reply.prompt is not None else -1
        if len(values) == count - 1 > 0 and all(_fine(value) for value in values):
            return Finding("prompt_logprobs", "yes", f"{form} gave {len(values)} for a prompt of {count} tokens")
        seen.append(f"{form} gave {len(values)} for a prompt of {count} tokens")
    return Finding("prompt_logprobs", "no", "; ".join(seen))


def _prompt_values(choice: Mapping[str, Any], completion: int) -> list[object]:
    rows = choice.get("prompt_logprobs")
    if isinstance(rows, list):
        tops = [next(iter(row.values()), None) for row in rows if isinstance(row, dict)]
        return [top.get("logprob") for top in tops if isinstance(top, dict)]
    found = choice.get("logprobs")
    values = found.get("token_logprobs") if isinstance(found, dict) else None
    return values[1 : len(values) - completion] if isinstance(values, list) else []


async def guided(ask: Ask) -> Finding:
    """A JSON schema that allows one text only, of which the prompt says nothing."""
    only = {"type": "string", "enum": ["ZQ7"]}
    schema = {"type": "object", "properties": {"v": only}, "required": ["v"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "probe", "schema": schema, "strict": True}}
    try:
        text = (await ask.chat("Say hello.", max_tokens=32, response_format=form)).text
    except FAILURES as error:
        return Finding("guided", "no", f"a JSON schema was refused: {error}")
    try:
        held = json.loads(text) == {"v": "ZQ7"}
    except ValueError:
        held = False
    return Finding("guided", "yes" if held else "no", f"a schema that allows one text only gave {_short(text)}")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


CHECKS = (chat, raw, max_tokens, usage, n, seed, logprobs, prefix, stop, stream, prompt_logprobs, guided)
