"""Reads the file, and refuses what no single setting can tell: unknown models, keys that can't be had, budgets without prices.

Everything is checked that can be without a network, so that a reload either works or changes nothing.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
import zoneinfo
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TypeVar

from outthink import catalogue, tasks
from outthink.backends.openai.address import Address
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, UnknownName, UsageError
from outthink.core.sampling import Sampling
from outthink.gateway import known
from outthink.gateway.choice import read_choice
from outthink.gateway.config.reading import table
from outthink.gateway.config.settings import Config, KeySettings, Model, Records, Server, UpstreamSettings
from outthink.models import is_object
from outthink.runtime.roles import require_further

T = TypeVar("T")

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}")
LARGEST_FILE = 8 << 20
_DAILY = {"tokens", "prompt_tokens", "completion_tokens", "usd", "calls", "samples"}


def read(path: str | Path) -> Config:
    """The configuration in a file. Raises BadInput or UnknownName naming file, table and setting."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror or error}", where=str(path)) from None
    if len(data) > LARGEST_FILE:
        raise BadInput(f"is larger than {LARGEST_FILE} bytes; it can't be a configuration", where=str(path))
    try:
        return parse(data.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8", where=str(path)) from None


def parse(text: str, where: str = "configuration") -> Config:
    """The configuration in a text; `where` names it in errors."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"is not valid TOML: {error}", where=where) from None
    except RecursionError:
        raise BadInput("nests too deeply to be a configuration", where=where) from None
    sections = {each.name for each in fields(Config) if each.init}
    for name in found:
        if name not in sections:
            raise UnknownName(f"table in {where}", name, sections)
    config = table(Config, found, f"{where}:")
    _check(config, f"{where}:")
    return config


def _check(config: Config, where: str) -> None:
    if not any(model.public for model in config.models.values()):
        raise BadInput("names none that clients may use; write a table [models.NAME]", where=f"{where} models")
    _check_server(config.server, bool(config.keys), f"{where} server")
    _placed(lambda: read_choice(config.defaults.strategy), f"{where} defaults.strategy")
    taken: dict[str, str] = {}
    for name, model in config.models.items():
        place = f"{where} models.{name}"
        for each in (name, *model.aliases):
            if not MODEL_NAME.fullmatch(each):
                raise BadInput(f"{each!r} is no name for a model: letters, digits and . _ - / are", where=place)
            if each in taken:
                raise BadInput(f"the name {each!r} is taken by models.{taken[each]}", where=place)
            taken[each] = name
        _check_model(config, model, place)
    _check_keys(config, where)
    _check_records(config.records, f"{where} records")
    if config.health.longest_open_seconds < config.health.open_seconds:
        raise BadInput("must not be below open_seconds", where=f"{where} health.longest_open_seconds")


def _check_keys(config: Config, where: str) -> None:
    seen: dict[str, str] = {}
    for name, key in config.keys.items():
        place = f"{where} keys.{name}"
        if not KEY_NAME.fullmatch(name):
            raise BadInput("is no name for a key: up to 64 letters, digits and . _ - are", where=place)
        if key.hash in seen:
            raise BadInput(
                f"has the same hash as [keys.{seen[key.hash]}]; make one key for each with `outthink keys new`", where=place
            )
        seen[key.hash] = name
        _check_key(config, key, place)


def _check_records(records: Records, where: str) -> None:
    for at, pattern in enumerate(records.redact):
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadInput(f"{pattern!r} is no regular expression: {error}", where=f"{where}.redact[{at}]") from None
    if records.texts == "redact" and not records.redact:
        raise BadInput("needs `redact`, a list of regular expressions", where=f"{where}.texts")
    if records.redact and records.texts != "redact":
        raise BadInput(f"has no effect with texts = {records.texts!r}; write texts = 'redact'", where=f"{where}.redact")
    if records.folder is None and records != Records():
        raise BadInput("is missing: without it nothing is recorded, whatever else is set", where=f"{where}.folder")


def _check_server(server: Server, keys: bool, where: str) -> None:
    try:
        zoneinfo.ZoneInfo(server.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            f"{server.timezone!r} is no time zone; write for example 'UTC' or 'Europe/Berlin'", where=f"{where}.timezone"
        ) from None
    if not (keys or server.open or is_loopback(server.host)):
        raise BadInput(
            f"{server.host} can be reached from other machines and no key is configured: anybody could spend; "
            "add a key with `outthink keys new NAME`, listen on 127.0.0.1, or set open = true",
            where=f"{where}.host",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_model(config: Config, model: Model, where: str) -> None:
    if not model.upstreams:
        raise BadInput("has no upstream; write [[models.NAME.upstreams]] with a url", where=f"{where}.upstreams")
    if model.strategy:
        chosen = _placed(lambda: read_choice(model.strategy), f"{where}.strategy").strategy
        assert chosen is not None  # it was named
        _placed(lambda: chosen.bound(model.parameters), f"{where}.parameters")
    elif model.parameters:
        raise BadInput("are parameters of `strategy`, which isn't given", where=f"{where}.parameters")
    _placed(lambda: Sampling().but(**model.sampling), f"{where}.sampling")
    if model.verifier:
        _placed(lambda: known.verifier(model.verifier, model.verifiers), f"{where}.verifier")
    for name, settings in model.verifiers.items():
        _placed(partial(known.verifier, name, {name: settings}), f"{where}.verifiers.{name}")
    if model.task:
        _placed(lambda: tasks.load(model.task), f"{where}.task")
    names = [upstream_name(each) for each in model.upstreams]
    for at, upstream in enumerate(model.upstreams):
        place = f"{where}.upstreams[{at}]"
        if names.index(names[at]) != at:
            raise BadInput(f"is called {names[at]!r} like another one; give it a `name`", where=place)
        _check_upstream(config, upstream, place)
    _check_rewarding(model, where)
    for budget, whose in ((model.budget, f"{where}.budget"), (config.defaults.budget, "[defaults]: budget")):
        if budget is not None and budget.usd is not None and model.prices is None:
            raise BadInput(
                f"are missing, and {whose} is in $; write prices = {{ prompt = ..., completion = ... }}", where=f"{where}.prices"
            )
    for role, player in model.roles.items():
        _check_role(config, model, role, player, f"{where}.roles.{role}")


def _check_rewarding(model: Model, where: str) -> None:
    rewarding = [is_reward_server(each.url) for each in model.upstreams]
    if any(rewarding) and model.public:
        raise BadInput(
            "can't be true: a reward model gives numbers, and clients ask for text; "
            "write public = false, and name the model in the roles of another one, as its prm",
            where=f"{where}.public",
        )
    if any(rewarding) and not all(rewarding):
        raise BadInput("are reward models and others, which can't stand in for each other", where=f"{where}.upstreams")


def _check_role(config: Config, model: Model, role: str, player: str, where: str) -> None:
    require_further(role, where)
    if is_object(player):
        _placed(lambda: catalogue.role(player), where)
    elif player not in config.models:
        raise UnknownName(f"model ({where})", player, config.models)
    elif (model.budget or config.defaults.budget).usd is not None and config.models[player].prices is None:
        raise BadInput(f"the budget of requests is in $, and [models.{player}] has no prices", where=where)


def _check_upstream(config: Config, upstream: UpstreamSettings, where: str) -> None:
    given = [name for name in ("key_variable", "key_file", "key") if getattr(upstream, name)]
    if len(given) > 1:
        raise BadInput(f"has both {given[0]} and {given[1]}; one is enough", where=where)
    if upstream.key and not config.server.allow_inline_keys:
        raise BadInput(
            "holds a secret in the configuration; name a key_variable or a key_file instead, "
            "or set allow_inline_keys = true in [server]",
            where=f"{where}.key",
        )
    if upstream.key_variable and not os.environ.get(upstream.key_variable):
        raise BadInput(f"the environment variable {upstream.key_variable} is not set", where=f"{where}.key_variable")
    if upstream.key_file is not None and not upstream.key_file.is_file():
        raise BadInput(f"there is no file {upstream.key_file}", where=f"{where}.key_file")
    if is_server(upstream.url):
        address = _placed(lambda: Address.parse(upstream.url), f"{where}.url")
        if upstream.model and address.model and address.model != upstream.model:
            raise BadInput(f"the url names {address.model!r} already", where=f"{where}.model")
    elif upstream.engine or upstream.probed or upstream.model or (given and not is_reward_server(upstream.url)):
        raise BadInput("key, engine, probed and model are for servers, and this is none", where=where)


def _check_key(config: Config, key: KeySettings, where: str) -> None:
    if not KEY_HASH.fullmatch(key.hash):
        raise BadInput("is not what `outthink keys new` or `outthink keys hash` prints (sha256:...)", where=f"{where}.hash")
    for name in key.models:
        if name not in config.models or not config.models[name].public:
            known_names = [each for each, model in config.models.items() if model.public]
            raise UnknownName(f"public model of {where}: models", name, known_names)
    _placed(lambda: [catalogue.strategy(name) for name in key.strategies], f"{where}.strategies")
    if key.strategy:
        _placed(lambda: read_choice(key.strategy), f"{where}.strategy")
    for name in key.daily_budget.limits():
        if name not in _DAILY:
            raise BadInput(f"can't bound {name} in a day", where=f"{where}.daily_budget")
    priced = [key.daily_budget, key.budget or Budget()]
    if any(budget.usd is not None for budget in priced):
        used = key.models or tuple(config.models)
        players = [player for name in used for player in config.models[name].roles.values() if player in config.models]
        for name in (*used, *players):
            if config.models[name].prices is None:  # what it takes would count as nothing
                raise BadInput(f"is in $, and [models.{name}] has no prices", where=f"{where}.daily_budget")


def is_server(url: str) -> bool:
    """Whether an upstream is an OpenAI-compatible server."""
    return url.startswith(("http://", "https://"))


def is_reward_server(url: str) -> bool:
    """Whether it is a reward model's server, such as pooling:http://..."""
    return is_server(url.partition(":")[2])


def upstream_name(upstream: UpstreamSettings) -> str:
    """What it is called in metrics and logs."""
    if upstream.name or not is_server(upstream.url):
        return upstream.name or Path(upstream.url).name
    return upstream.url.partition("://")[2].partition("#")[0].partition("/")[0].rpartition("@")[2]


def _placed(call: Callable[[], T], where: str) -> T:
    """What a call gives; an error of the user's says where in the file its reason stands."""
    try:
        return call()
    except UnknownName as error:
        raise UnknownName(f"{error.kind} ({where})", error.name, error.known) from None
    except UsageError as error:
        raise BadInput(str(error), where=where) from None
