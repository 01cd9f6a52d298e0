"""Requests to bytes, addresses and keys: what the backend sends, and to whom. No network."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.backends.engines import ENGINES, engine_named
from outthink.backends.openai import OpenAIBackend
from outthink.backends.openai.address import Address
from outthink.backends.openai.encode import Encoder
from outthink.core.backend import Request
from outthink.core.errors import BadInput, UnknownName, Unsupported
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling

CHAT = Prompt.chat("1 + 1?")
KEY = "sk-very-secret-0123456789"


def body(engine: str, request: Request) -> dict[str, Any]:
    return json.loads(Encoder(ENGINES[engine], "m", prefix=ENGINES[engine].capabilities.prefix).body(request))


def request(prompt: Prompt = CHAT, n: int = 1, logprobs: LogprobNeed | None = None, **settings: Any) -> Request:
    return Request(prompt, Sampling(**settings), list(range(7, 7 + n)), logprobs)


# --- requests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "stated"),
    [
        ("vllm", {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("sglang", {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("llamacpp", {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "typical_p": 1.0, "mirostat": 0}),
        ("openai", {"top_p": 1.0}),
    ],
)
def test_temperature_one_is_stated_with_every_other_sampler_off(engine: str, stated: dict[str, float]) -> None:
    sent = body(engine, request(temperature=1.0))
    assert stated.items() <= sent.items()
    assert (sent["temperature"], sent["presence_penalty"], sent["frequency_penalty"], sent["seed"]) == (1.0, 0.0, 0.0, 7)


@pytest.mark.parametrize("engine", ["openai", "ollama"])
@pytest.mark.parametrize("setting", [{"top_k": 20}, {"min_p": 0.1}, {"repeat_penalty": 1.1}])
def test_what_an_engine_cannot_be_told_is_refused(engine: str, setting: dict[str, float]) -> None:
    with pytest.raises(Unsupported, match=next(iter(setting))):
        body(engine, request(**setting))
    assert not {"top_k", "min_p", "repetition_penalty", "repeat_penalty"} & body(engine, request()).keys()


def test_openai_gets_its_own_fields_and_no_other() -> None:
    sent = body("openai", request(n=3, logprobs=LogprobNeed(5), stop=("a", "b")))
    assert sent == {
        "model": "m", "messages": [{"role": "user", "content": "1 + 1?"}], "temperature": 0.7, "top_p": 1.0,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "max_completion_tokens": 1024, "stop": ["a", "b"],
        "logprobs": True, "top_logprobs": 5, "n": 3, "seed": 7,
    }  # fmt: skip
    with pytest.raises(Unsupported, match="at most 4"):
        body("openai", request(stop=("a", "b", "c", "d", "e")))


def test_a_prefix_is_an_open_assistant_turn_or_raw_text() -> None:
    prompt = CHAT.continued("It is")
    for engine in ("vllm", "sglang"):
        sent = body(engine, request(prompt))
        assert sent["messages"][-1] == {"role": "assistant", "content": "It is"}
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
    assert body("llamacpp", request(prompt))["messages"][-1]["role"] == "assistant"
    assert body("generic", request(Prompt.raw("1 + 1", prefix=" = ")))["prompt"] == "1 + 1 = "
    for engine in ("openai", "generic"):
        with pytest.raises(Unsupported, match="continue"):
            body(engine, request(prompt))
    probed = json.loads(Encoder(ENGINES["generic"], "m", prefix=True).body(request(prompt)))
    assert probed["continue_final_message"] is True


def test_llama_cpp_gives_logprobs_only_with_an_alternative() -> None:
    assert body("llamacpp", request(logprobs=LogprobNeed(0)))["top_logprobs"] == 1
    assert body("vllm", request(Prompt.raw("x"), logprobs=LogprobNeed(0)))["logprobs"] == 0


@given(st.text(), st.text(), st.text(), st.integers(1, 2**31))
def test_any_text_survives_the_wire(user: str, system: str, prefix: str, seed: int) -> None:
    prompt = Prompt.chat(user, system=system, prefix=prefix)
    sent = body("vllm", Request(prompt, Sampling(), [seed]))
    given_texts = [*filter(None, [system]), user, *filter(None, [prefix])]
    assert ([message["content"] for message in sent["messages"]], sent["seed"]) == (given_texts, seed)


def test_a_lone_surrogate_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadInput, match="surrogate"):
        body("vllm", request(Prompt.chat("\ud800")))


def test_engines_are_found_by_name_only() -> None:
    with pytest.raises(UnknownName, match="vllm"):
        engine_named("vlm")


# --- addresses and keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "base", "model"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1", ""),
        ("http://localhost:8000/#org/model-7B", "http://localhost:8000/v1", "org/model-7B"),
        ("https://h/openai/v1/", "https://h/openai/v1", ""),
        ("https://h/v1/chat/completions#m", "https://h/v1", "m"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1", ""),
    ],
)
def test_addresses(text: str, base: str, model: str) -> None:
    address = Address.parse(text)
    assert (address.base, address.model) == (base, model)


@pytest.mark.parametrize(
    "text",
    [
        *[f"https://user:{KEY}@h", f"https://{KEY}@h", f"https://h/v1?api_key={KEY}"],
        *["ftp://h", "localhost:8000", "http://", "http://h:99999", "http://a b", "http://h/\r\nX: y"],
    ],
)
def test_addresses_that_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        Address.parse(text)
    assert KEY not in str(refused.value)


def test_a_key_comes_from_the_environment_and_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert not Address.parse("https://elsewhere.example").key()
    assert not Address.parse("http://api.openai.com").key()  # not over an open wire
    assert not Address.parse("https://api.openai.com.evil.example").key()
    secret = Address.parse("https://api.openai.com").key()
    assert secret.header() == {"Authorization": f"Bearer {KEY}"}
    monkeypatch.setenv("OUTTHINK_API_KEY", "sk-mine")
    assert Address.parse("https://api.openai.com").key().header() == {"Authorization": "Bearer sk-mine"}
    backend = OpenAIBackend("https://api.openai.com#m", key_variable="OPENAI_API_KEY")
    assert KEY not in repr([backend, vars(backend), vars(backend.wire), secret, backend.name])
    with pytest.raises(TypeError, match="not for storage"):
        pickle.dumps(secret)
    for bad in ("sk a", "sk\nHost: x", "sk-é"):
        monkeypatch.setenv("OUTTHINK_API_KEY", bad)
        with pytest.raises(BadInput, match="no key") as refused:
            Address.parse("https://h").key()
        assert bad not in str(refused.value)
    with pytest.raises(BadInput, match="not set"):
        Address.parse("https://h").key("ABSENT_API_KEY")
