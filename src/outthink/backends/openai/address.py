"""Where a server is, and the key to it. Keys come from the environment only and never show. No network here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from outthink.core.errors import BadInput

__all__ = ["Address", "Secret"]

OPENAI_HOST = "api.openai.com"
KEY_VARIABLE = "OUTTHINK_API_KEY"


class Secret:
    """An API key that no repr, log or pickle shows."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    @classmethod
    def of(cls, value: str, source: str) -> Secret:
        """A key out of the source that is named. Raises BadInput, without the key, for one that no header can hold."""
        if not value.isascii() or not value.isprintable() or " " in value:
            raise BadInput(f"{source} holds spaces or unprintable characters; it is no key", where="API key")
        return cls(value)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return "Secret(...)" if self else "Secret()"

    def __reduce__(self) -> str:
        raise TypeError("an API key is not for storage; read it from the environment again")

    def header(self) -> dict[str, str]:
        """The HTTP header that carries it; none for an empty key."""
        return {"Authorization": f"Bearer {self.__value}"} if self else {}

    def hidden(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self.__value, "[key]") if self else text


@dataclass(frozen=True, slots=True)
class Address:
    """A server and, where the text named one, a model.

    base:  the URL that /chat/completions and the others follow, without a slash at its end
    host:  its host name
    model: the part after `#`, or ""
    """

    base: str
    host: str
    model: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `http://host:port`, `https://host/v1`, or either with `#model`. Without a path, /v1 is meant.

        Raises BadInput for anything else, for one with a password or a query: keys are read from the environment only.
        """
        where = "model URL"
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise BadInput("this is no URL; write for example http://localhost:8000#model", where=where) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput("a server's URL begins with http:// or https:// and a host name", where=where)
        if parts.username is not None or parts.password is not None or parts.query:
            raise BadInput(
                f"a URL must not hold a password, a key or a query; put the key into the variable {KEY_VARIABLE}", where=where
            )
        if any(ord(letter) <= 32 or ord(letter) == 127 for letter in text.strip()):
            raise BadInput("a URL must not hold spaces or control characters", where=where)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        path = parts.path.rstrip("/")
        for endpoint in ("/chat/completions", "/completions", "/models"):
            path = path.removesuffix(endpoint)
        base = f"{parts.scheme}://{host}{f':{port}' if port is not None else ''}{path or '/v1'}"
        return cls(base, parts.hostname, parts.fragment)

    @property
    def root(self) -> str:
        """The URL that endpoints outside OpenAI's protocol (/props, /version, /metrics) follow."""
        return self.base.removesuffix("/v1")

    def key(self, variable: str = "") -> Secret:
        """The key for this server.

        From the named variable where one is named (it must be set), else from OUTTHINK_API_KEY, else, for OpenAI's own
        host over https and no other, from OPENAI_API_KEY. Raises BadInput, without the key, for one that no header can hold.
        """
        if variable and not os.environ.get(variable):
            raise BadInput(f"the variable {variable} is not set", where="API key")
        names = [variable] if variable else [KEY_VARIABLE]
        if not variable and self.host == OPENAI_HOST and self.base.startswith("https://"):
            names.append("OPENAI_API_KEY")
        for name in names:
            if value := os.environ.get(name, "").strip():
                return Secret.of(value, f"the variable {name}")
        return Secret("")
