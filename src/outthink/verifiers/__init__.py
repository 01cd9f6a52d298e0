"""One file per verifier; `outthink.catalogue` finds them by file name. A verifier only awaits operations, so it does no I/O."""
