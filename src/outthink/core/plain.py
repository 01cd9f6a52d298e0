"""Plain JSON as text, always written the same way: what fingerprints are made of, and what journals hold."""

from __future__ import annotations

import json

PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: `json.dumps` makes one at each call."""
