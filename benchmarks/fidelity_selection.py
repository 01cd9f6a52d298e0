"""Voting and selection against published figures and other implementations.

    python benchmarks/fidelity_selection.py [--data FOLDER]

Row by row: figures that follow from recorded samples, theirs and ours; choices of our selectors and of scorio's (pip install
scorio; left out where it isn't there) and of an RPC written with SciPy. Against plain majority they are held by `evidence.py`.
FOLDER holds the recorded `pools`; its default is the variable OUTTHINK_SHARED_DATA.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
from pathlib import Path

from selection_oracles import Pools, agreement, rpc_agreement, targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("OUTTHINK_SHARED_DATA"))
    given = parser.parse_args()
    if given.data is None:
        print("nothing is compared: no recorded pools are here (--data FOLDER, or the variable OUTTHINK_SHARED_DATA)")
        return
    pools = Pools(given.data)

    print(f"{'source':<38} {'figure':<32} {'theirs':>7} {'ours':>7}")
    for source, figure, theirs, ours in targets(pools):
        same = "" if math.isnan(theirs) else "same" if abs(theirs - ours) < 0.001 else "DIFFERS"
        print(f"{source:<38} {figure:<32} {theirs:7.3f} {ours:7.3f}  {same}")

    if importlib.util.find_spec("scorio"):
        print("\nscorio's choice and ours, on tables without ties")
        for name, same, sure, tied in agreement(pools):
            print(f"  {name:<26} {same} of {sure} alike ({tied} with ties left out)")
    else:
        print("\nscorio is not installed: pip install scorio")
    for n in (16, 64):
        same, total = rpc_agreement(pools, n)
        print(f"  {'RPC by SciPy':<26} {same} of {total} alike at {n} samples")


if __name__ == "__main__":
    main()
