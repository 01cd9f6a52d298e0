"""The problems of the project's own pool, as JSON Lines: `python problems.py 112 > arithmetic.jsonl`. Seed 7, as in the demo."""

from __future__ import annotations

import json
import sys

from outthink.tasks import arithmetic

for problem in arithmetic.problems(int(sys.argv[1]), 7):
    print(json.dumps({"id": problem.id, "problem": problem.text, "gold": problem.gold}))
