"""The page's own files, as they are served, and the headers that go with everything a page is made of."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

STATIC = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **{
        f"{name}.js": "text/javascript; charset=utf-8"
        for name in ("format", "dom", "source", "votes", "spend", "tree", "glance", "samples", "run", "home", "main")
    },
}
"""Every file by its name, with its media type. The scripts stand in an order in which each imports only from those before it."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""No script but the page's own files, no other site, no framing, nothing kept."""


@cache
def static(name: str) -> tuple[bytes, str] | None:
    """A file's content and media type; None for any other name, whatever it tries to reach."""
    if name not in STATIC:
        return None
    return files("outthink.report.page").joinpath("static", name).read_bytes(), STATIC[name]
