"""The OpenAPI description says what there is: each path of the application that clients use, and only those."""

from __future__ import annotations

import re

from outthink.gateway.app import make_app
from outthink.gateway.description import description
from outthink.gateway.gateway import Gateway


def test_it_describes_the_paths_that_there_are() -> None:
    routes = {re.sub(r":\w+}", "}", str(getattr(route, "path", ""))).rstrip("/") for route in make_app(Gateway()).routes}
    described = set(description()["paths"])
    assert described <= routes
    # A scorer in the path is another system's spelling; models under a strategy are for clients that know only URLs.
    rest = {path for path in routes - described if "{scorer}" not in path}
    assert rest == {"/openapi.json", "/v1/{strategy}/models", "/v1/{strategy}/models/{name}"}
