"""Takes texts out of a journal's image before it is written. Which journals are kept, and how long, must not live here.

keep:   nothing is taken out
redact: matches of the configured patterns become [redacted], in prompts, samples and answers
digest: every text becomes a digest with a key of this record's own, which is thrown away: equal texts stay equal, so that
        votes and classes can still be seen, and no text can be guessed from its digest
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from typing import Any

from outthink.gateway.config import Records

MARK = "[redacted]"
SqlValue = str | bytes | int | float | None
_TEXTS = ("text", "prefix", "reason")


class Redaction:
    """How one record's texts are kept; made as its request begins."""

    def __init__(self, settings: Records) -> None:
        self.kind = settings.texts
        self._patterns = [re.compile(pattern) for pattern in settings.redact] if self.kind == "redact" else []
        self._key = secrets.token_bytes(16)

    def changed(self, text: str) -> str:
        """A text as it is kept."""
        if self.kind == "digest":
            return f"#{blake2b(text.encode('utf-8', 'replace'), digest_size=6, key=self._key).hexdigest()}" if text else ""
        for pattern in self._patterns:
            text = pattern.sub(MARK, text)
        return text

    def applied(self, image: bytes) -> bytes:
        """The image of a journal without what isn't kept."""
        if self.kind == "keep":
            return image
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            db.deserialize(image)
            db.execute("PRAGMA secure_delete=ON")
            db.create_function("changed", 1, lambda text: self.changed(text) if isinstance(text, str) else text)
            db.create_function("changed_json", 1, self._json)
            db.create_function("changed_event", 1, self._event)
            db.execute("BEGIN")
            db.execute(
                f"UPDATE samples SET {', '.join(f'{name} = changed({name})' for name in _TEXTS)}, meta = changed_json(meta)"
            )
            db.execute("UPDATE outcomes SET value = changed_json(value) WHERE kind = 'invoke'")
            db.execute("UPDATE outcomes SET value = changed_event(value) WHERE kind = 'event'")
            db.execute("UPDATE runs SET answer = changed(answer)")
            self._change_header(db)
            if self.kind == "digest":
                db.execute("UPDATE samples SET logprobs = NULL")
            db.execute("COMMIT")
            db.execute("VACUUM")  # what was replaced must not lie in free pages
            return db.serialize()

    def _change_header(self, db: sqlite3.Connection) -> None:
        for name, changed in _HEADER.items():
            for (value,) in db.execute("SELECT value FROM header WHERE name = ?", (name,)).fetchall():
                kept = json.dumps(changed(json.loads(value), self._leaves))
                db.execute("UPDATE header SET value = ? WHERE name = ?", (kept, name))
        db.execute("INSERT OR REPLACE INTO header VALUES ('texts', ?)", (json.dumps(self.kind),))

    def _json(self, value: SqlValue) -> SqlValue:
        return json.dumps(self._leaves(json.loads(value)), ensure_ascii=False) if isinstance(value, str) else value

    def _event(self, value: SqlValue) -> SqlValue:
        """A stream's event: only its text is one."""
        event = json.loads(value) if isinstance(value, str) else None
        if not isinstance(event, dict) or "text" not in event:
            return value
        return json.dumps({**event, "text": self.changed(str(event["text"]))}, ensure_ascii=False)

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
    return ["", leaves(value[1])]


def _notes(value: Any, leaves: Leaves) -> Any:
    return {name: leaves(each) if name == "prompt" else each for name, each in value.items()}


_HEADER: dict[str, Callable[[Any, Leaves], Any]] = {"problems": _problem, "notes": _notes}
