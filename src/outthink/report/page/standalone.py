"""The page as one HTML file that needs no server and no network: its scripts joined, its data beside them as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from outthink.core.errors import InternalError
from outthink.report.page.files import STATIC, static

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)
_LINKS = re.compile(r'<link rel="(?:icon|stylesheet)".*?>\n|<script type="module".*?</script>\n')


def standalone(document: Mapping[str, Any]) -> str:
    """The file's text. `document`: see `journal.document`.

    Its policy names its one script and its one style by their hashes: whatever else a text might smuggle in is not run.
    """
    script, style = _joined(), _text("style.css")
    icon = base64.b64encode(_text("icon.svg").encode()).decode()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":  # nothing in a text can end the element that it stands in
        data = data.replace(character, f"\\u{ord(character):04x}")
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<link rel="icon" href="data:image/svg+xml;base64,{icon}">\n<style>{style}</style>\n'
    )
    page, links = _LINKS.subn("", _text("index.html"))
    if links != 3:
        raise InternalError("the page's head isn't what the file of its own is made from")
    body = f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n'
    return page.replace("<title>", f"{head}<title>", 1).replace("</body>", f"{body}</body>", 1)


def _joined() -> str:
    """All scripts as one, each in a scope of its own: a browser loads no modules from inside a file."""
    parts = ['"use strict";\nconst modules = {};\n']
    for name in STATIC:
        if not name.endswith(".js"):
            continue
        text = _IMPORT.sub(lambda found: f'const {{ {found[1].replace(" as ", ": ")} }} = modules["{found[2]}"];\n', _text(name))
        exported = [found[2] for found in _EXPORT.finditer(text)]
        text = _EXPORT.sub(r"\1 \2", text)
        if re.search(r"^(import|export)\b", text, re.MULTILINE) or "</script" in text or "<!--" in text:
            raise InternalError(f"{name} is written in a way that can't be joined")
        parts.append(f'modules["{name}"] = (() => {{\n{text}return {{ {", ".join(exported)} }};\n}})();\n')
    return "".join(parts)


def _text(name: str) -> str:
    found = static(name)
    if found is None:
        raise InternalError(f"the page has no {name}")
    return found[0].decode()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
