"""The configuration: what is accepted, and that every error says where it is and what to write instead."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.budget import Budget, Prices
from outthink.core.errors import BadInput, UnknownName, UsageError
from outthink.core.sampling import Sampling
from outthink.gateway.config import Config, parse, read
from outthink.gateway.config.reading import rule_of
from outthink.gateway.config.reference import reference

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = '[models.a]\nupstreams = [{ url = "http://localhost:1/v1#m" }]\n'
KEY = "sha256:" + "0" * 64


def test_the_example_is_accepted_and_says_what_it_says() -> None:
    config = read(ROOT / "examples" / "gateway.toml")
    qwen, alice = config.models["qwen"], config.keys["alice"]
    assert config.names == {"qwen": "qwen", "gpt-4o-mini": "qwen", "judge": "judge"}
    assert [each.weight for each in qwen.upstreams] == [2.0, 1.0]
    assert qwen.prices == Prices(0.1, 0.4, 0.02)
    assert config.defaults.budget == Budget(tokens=200_000, seconds=300.0)
    assert alice.daily_budget == Budget(tokens=2_000_000, usd=5.0)
    assert not alice.operator
    assert config.keys["dashboard"].operator
    assert not config.keyless


def test_what_is_not_said_has_its_default() -> None:
    config = parse(MODEL)
    assert config.server.host == "127.0.0.1"
    assert config.models["a"].upstreams[0].weight == 1.0
    assert config.records.folder is None
    assert config.keyless


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[modls.a]", r"no table in g\.toml is called 'modls'; did you mean models"),
        ("[models]", r"g\.toml: models: names none that clients may use; write a table \[models\.NAME\]"),
        ("", r"g\.toml: models: is missing"),
        ("[models.a]", r"g\.toml: models\.a\.upstreams: is missing; it is who answers"),
        ("[models.a]\nupstreams = []", r"models\.a\.upstreams: has no upstream"),
        ("[models.a]\nupstreams = 3", r"models\.a\.upstreams: is 3 and must be a list"),
        ('[models.a]\nupstreams = [{ url = "http://x", wieght = 1 }]', r"upstreams\[0\] is called 'wieght'; did you mean weight"),
        ('[models.a]\nupstreams = [{ url = "http://x", weight = "1" }]', r"upstreams\[0\]\.weight: is '1' and must be a number"),
        ('[models.a]\nupstreams = [{ url = "http://x", weight = true }]', r"weight: is True and must be a number"),
        ('[models.a]\nupstreams = [{ url = "http://x", weight = 0 }]', r"weight: is 0 and must be at least 1e-06"),
        ('[models.a]\nupstreams = [{ url = "http://x", weight = nan }]', r"weight: is nan and must be finite"),
        ('[models.a]\nupstreams = [{ url = "http://u:p@x" }]', r"upstreams\[0\]\.url: model URL: a URL must not hold a password"),
        ('[models.a]\nupstreams = [{ url = "http://x" }, { url = "http://x/v1" }]', r"\[1\]: is called 'x' like another one"),
        ('[models.a]\nupstreams = [{ url = "http://x", key_variable = "NO_SUCH" }]', r"the environment variable NO_SUCH is"),
        ('[models.a]\nupstreams = [{ url = "http://x", key_file = "/no/such" }]', r"key_file: there is no file /no/such"),
        (MODEL + 'strategy = "majorty"', r"no strategy \(g\.toml: models\.a\.strategy\) is called 'majorty'; did you"),
        (MODEL + 'strategy = "majority"\nparameters = { m = 3 }', r"parameter of majority \(g\.toml: models\.a\.parameters\)"),
        (MODEL + "parameters = { n = 3 }", r"parameters: are parameters of `strategy`"),
        (MODEL + "sampling = { heat = 1 }", r"sampling setting \(g\.toml: models\.a\.sampling\) is called 'heat'"),
        (MODEL + "sampling = { temperature = 99 }", r"models\.a\.sampling: sampling: temperature is 99"),
        (MODEL + 'budget = "ten"', r"models\.a\.budget: 'ten' is not understood; write"),
        (MODEL + 'budget = "$1"', r"models\.a\.prices: are missing"),
        (MODEL + "prices = { prompt = -1, completion = 1 }", r"models\.a\.prices: prompt is -1"),
        (MODEL + "prices = { prompt = nan, completion = 1 }", r"models\.a\.prices: prompt is nan"),
        (MODEL + 'aliases = ["b", "b"]', r"the name 'b' is taken by models\.a"),
        (MODEL + 'aliases = ["b c"]', r"'b c' is no name for a model"),
        (MODEL + "[limits]\nat_once = 0", r"g\.toml: limits\.at_once: is 0 and must be at least 1"),
        (MODEL + "[limits]\nat_once = 1.5", r"limits\.at_once: is 1\.5 and must be a whole number"),
        (MODEL + '[server]\nhost = "0.0.0.0"', r"server\.host: 0\.0\.0\.0 can be reached from other machines and no key"),
        (MODEL + '[server]\ntimezone = "Mars"', r"server\.timezone: 'Mars' is no time zone"),
        (MODEL + '[server]\ntimezone = "../../etc/passwd"', r"is no time zone"),
        (MODEL + '[keys.k]\nhash = "ot-secretsecret"', r"keys\.k\.hash: is not what `outthink keys"),
        (MODEL + f'[keys."a b"]\nhash = "{KEY}"', r"keys\.a b: is no name for a key"),
        (MODEL + f'[keys.a]\nhash = "{KEY}"\n[keys.b]\nhash = "{KEY}"', r"keys\.b: has the same hash as \[keys\.a\]"),
        (MODEL + f'[keys.a]\nhash = "{KEY}"\nmodels = ["c"]', r"model of g\.toml: keys\.a: models is called 'c'"),
        (MODEL + f'[keys.a]\nhash = "{KEY}"\ndaily_budget = "$1"', r"a\.daily_budget: is in \$, and \[models\.a\] has no prices"),
        (MODEL + f'[keys.a]\nhash = "{KEY}"\ndaily_budget = "10s"', r"keys\.a\.daily_budget: can't bound seconds in a day"),
        (MODEL + f'[keys.a]\nhash = "{KEY}"\nexpires = "2027-01-01"', r"keys\.a\.expires: .* must be a date without quotes"),
        (MODEL + '[records]\ntexts = "none"', r"value of g\.toml: records\.texts is called 'none'"),
        (MODEL + '[records]\ntexts = "redact"', r"records\.texts: needs `redact`"),
        (MODEL + "[records]\nredact = ['x']", r"records\.redact: has no effect with texts = 'keep'"),
        (MODEL + "[records]\ndays = 3", r"records\.folder: is missing: without it nothing is recorded"),
        (MODEL + "[records]\ndays = 0", r"records\.days: is 0 and must be at least"),
        (MODEL + "[records]\nkeep = 3", r"records is called 'keep'"),
        (MODEL + "[records]\nredact = ['(']", r"records\.redact\[0\]: '\(' is no regular expression"),
        (MODEL + "[health]\nopen_seconds = 9\nlongest_open_seconds = 8", r"health\.longest_open_seconds: must not be below"),
        ("a = \n", r"g\.toml: is not valid TOML: .*line 1"),
    ],
)  # fmt: skip
def test_an_error_names_its_place_and_what_to_do(text: str, error: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=error):
        parse(text, "g.toml")


def test_a_secret_is_not_shown_when_it_is_refused() -> None:
    for value in ('"hunter2-hunter2"', "12345678"):
        with pytest.raises(BadInput) as raised:
            parse(f'[models.a]\nupstreams = [{{ url = "http://x", key = {value} }}]')
        assert value.strip('"') not in str(raised.value)


def test_a_secret_in_the_file_must_be_allowed() -> None:
    text = '[models.a]\nupstreams = [{ url = "http://x", key = "hunter2" }]\n'
    assert parse(text + "[server]\nallow_inline_keys = true").models["a"].upstreams[0].key == "hunter2"


def test_keys_of_upstreams_come_from_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "k")
    (tmp_path / "key").write_text("k")
    both = f'key_variable = "A_KEY", key_file = "{tmp_path / "key"}"'
    with pytest.raises(BadInput, match="has both key_variable and key_file"):
        parse(f'[models.a]\nupstreams = [{{ url = "http://x", {both} }}]')


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = " + b"[" * 100_000, b"x" * (9 << 20)], ids=["bytes", "deep", "large"])
def test_a_hostile_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"g\.toml"):
        read(path)
    with pytest.raises(BadInput, match="can't be read"):
        read(tmp_path / "none.toml")


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3))
names = sorted({each.name for each in fields(Config) if each.init})


@given(st.dictionaries(st.sampled_from(names), trees, max_size=4))
def test_whatever_the_file_holds_the_error_is_ours(found: dict[str, object]) -> None:
    from outthink.gateway.config.reading import table

    said = "g.toml"
    try:
        table(Config, found, "g.toml:")
    except UsageError as error:
        said = str(error)
    assert "g.toml" in said


def test_every_setting_is_explained_and_the_reference_is_fresh() -> None:
    def all_of(kind: type) -> list[type]:
        found = [kind]
        for each in fields(kind):
            if each.init:
                assert rule_of(each).help[0].islower() or rule_of(each).help.split()[0].isupper(), each.name
            default = each.default_factory() if callable(each.default_factory) else None  # type: ignore[misc]
            if is_dataclass(default) and not isinstance(default, (Budget, Prices)):
                found += all_of(type(default))
        return found

    assert len(all_of(Config)) == 9
    page = (ROOT / "docs" / "gateway-operation.md").read_text(encoding="utf-8")
    assert reference() in page, "run `make docs`"


@pytest.mark.parametrize("stop", ['["\\n\\n", "###"]', '"###"'])
def test_stop_strings_are_written_as_toml_has_them(stop: str) -> None:
    found = parse(f"{MODEL}sampling = {{ stop = {stop} }}").models["a"].sampling
    assert Sampling().but(**found).stop[-1] == "###"
