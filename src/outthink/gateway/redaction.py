"""Takes texts out of a journal's image before it is written. Which journals are kept, and how long, must not live here.

keep:   nothing is taken out
redact: matches of the configured patterns become [redacted], in prompts, samples and answers. A record in which nothing matches
        is kept whole; of one in which something does, what could give a match away piece by piece is left out: the tokens of
        log-probabilities, and what streams had said on their way
digest: every text becomes a digest with a key of this record's own, which is thrown away: equal texts stay equal, so that
        votes and classes can still be seen, and no text can be guessed from its digest

Fingerprints of what was asked are keyed anew wherever a text was changed: a guessed prompt could be told right by them.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from hashlib import blake2b
from typing import Any

from outthink.core.calls import OPENING
from outthink.gateway.config import Records
from outthink.gateway.conversation import CALLS, JSON

MARK = "[redacted]"
SqlValue = str | bytes | int | float | None
_TEXTS = ("text", "prefix", "reason")
_BEGINS = re.compile(rf"{OPENING}|\A{CALLS}|\A{JSON}|\A\s*(?=[\[{{])")
"""Where JSON begins in a text: of tool calls, of the classes that they are in, of a text that is JSON."""
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"[A-Za-z_][\w.-]*")
"""What a strategy's parameter may be without being anybody's text."""


class Redaction:
    """How one record's texts are kept; made as its request begins."""

    def __init__(self, settings: Records) -> None:
        self.kind = settings.texts
        self._patterns = [re.compile(pattern) for pattern in settings.redact] if self.kind == "redact" else []
        self._key = secrets.token_bytes(16)
        self._touched = False

    def changed(self, text: str) -> str:
        """A text as it is kept."""
        found = self._digest(text, 6) if self.kind == "digest" and text else self._marked(text)
        self._touched = self._touched or found != text
        return found

    def _digest(self, text: str, size: int) -> str:
        return f"#{blake2b(text.encode('utf-8', 'replace'), digest_size=size, key=self._key).hexdigest()}"

    def _marked(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(MARK, text)
        # In JSON a line's end is a backslash and an n: patterns must meet what it stands for.
        if "\\" in text and (begins := _BEGINS.search(text)) is not None:
            return text[: begins.end()] + _LITERAL.sub(self._literal, text[begins.end() :])
        return text

    def _literal(self, found: re.Match[str]) -> str:
        try:
            said = json.loads(found[0], strict=False)
        except ValueError:
            return found[0]
        kept = self._marked(said)
        return found[0] if kept == said else json.dumps(kept, ensure_ascii=False)

    def applied(self, image: bytes) -> bytes:
        """The image of a journal without what isn't kept."""
        if self.kind == "keep":
            return image
        self._touched = False
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.deserialize(image)
            db.execute("PRAGMA secure_delete=ON")
            db.create_function("changed", 1, lambda text: self.changed(text) if isinstance(text, str) else text)
            for name, function in (("changed_json", self._json), ("changed_meta", self._meta), ("changed_event", self._event)):
                db.create_function(name, 1, function)
            db.create_function("changed_operation", 1, self._operation)
            db.create_function("keyed", 1, lambda digest: self._digest(str(digest), 8))
            db.execute("BEGIN")
            db.execute(
                f"UPDATE samples SET {', '.join(f'{name} = changed({name})' for name in _TEXTS)}, meta = changed_meta(meta)"
            )
            db.execute("UPDATE outcomes SET value = changed_json(value) WHERE kind = 'invoke'")
            db.execute("UPDATE runs SET answer = changed(answer)")
            self._change_header(db)
            if not self._touched:
                return image
            db.execute("UPDATE outcomes SET value = changed_event(value) WHERE kind = 'event'")
            db.execute("UPDATE operations SET digest = keyed(digest), fields = changed_operation(fields)")
            for table in ("samples", "outcomes"):
                db.execute(f"UPDATE {table} SET digest = keyed(digest)")
            db.execute("UPDATE samples SET meta = json_remove(meta, '$.logprobs', '$.first_token') WHERE meta IS NOT NULL")
            if self.kind == "digest":
                db.execute("UPDATE samples SET logprobs = NULL")
            db.execute("INSERT OR REPLACE INTO header VALUES ('texts', ?)", (json.dumps(self.kind),))
            db.execute("COMMIT")
            db.execute("VACUUM")  # what was replaced must not lie in free pages
            return db.serialize()

    def _change_header(self, db: sqlite3.Connection) -> None:
        for name, changed in _HEADER.items():
            for (value,) in db.execute("SELECT value FROM header WHERE name = ?", (name,)).fetchall():
                kept = json.dumps(changed(json.loads(value), self._leaves))
                db.execute("UPDATE header SET value = ? WHERE name = ?", (kept, name))

    def _json(self, value: SqlValue) -> SqlValue:
        return json.dumps(self._leaves(json.loads(value)), ensure_ascii=False) if isinstance(value, str) else value

    def _meta(self, value: SqlValue) -> SqlValue:
        """What a sample has besides its text; the budget that cut it is nobody's text."""
        if not isinstance(value, str):
            return value
        dropped = ("logprobs", "first_token")  # later, and only where something matches: token by token nothing does
        meta = json.loads(value)
        return json.dumps({name: each if name in ("cut", *dropped) else self._leaves(each) for name, each in meta.items()})

    def _event(self, value: SqlValue) -> SqlValue:
        """A stream's event: only its text is one. It may end in the middle of a match."""
        event = json.loads(value) if isinstance(value, str) else None
        if not isinstance(event, dict) or "text" not in event:
            return value
        text = self.changed(str(event["text"])) if self.kind == "digest" else MARK
        return json.dumps({**event, "text": text}, ensure_ascii=False)

    def _operation(self, value: SqlValue) -> SqlValue:
        """What was asked for: fingerprints of prompts, and what ends a sample."""
        fields = json.loads(value) if isinstance(value, str) else {}
        prompts = [self._digest(prompt, 8) for prompt in fields["prompts"]]
        return json.dumps({**fields, "prompts": prompts, "sampling": _stops(fields["sampling"], self._leaves)})

    def _leaves(self, value: Any) -> Any:
        """Every text in a JSON value changed; names of fields stay."""
        match value:
            case str():
                return self.changed(value)
            case list():
                return [self._leaves(each) for each in value]
            case dict():
                return {name: self._leaves(each) for name, each in value.items()}
            case _:
                return value


Leaves = Callable[[Any], Any]


def _problem(value: Any, leaves: Leaves) -> Any:
    """[id, text]: the id is a digest of the text, by which it could be guessed."""
    text = leaves(value[1])
    return value if text == value[1] else ["", text]


def _notes(value: Any, leaves: Leaves) -> Any:
    return {name: leaves(each) if name in ("prompt", "error") else each for name, each in value.items()}


def _stops(sampling: Mapping[str, Any], leaves: Leaves) -> dict[str, Any]:
    return {**sampling, "stop": leaves(sampling["stop"])}


def _sampling(value: Any, leaves: Leaves) -> Any:
    return {role: _stops(sampling, leaves) for role, sampling in value.items()}


def _parameters(value: Any, leaves: Leaves) -> Any:
    """A strategy's parameters: a word is the name of a rule."""
    return {name: each if isinstance(each, str) and _WORD.fullmatch(each) else leaves(each) for name, each in value.items()}


_HEADER: dict[str, Callable[[Any, Leaves], Any]] = {
    "problems": _problem, "notes": _notes, "sampling": _sampling, "parameters": _parameters,
}  # fmt: skip
