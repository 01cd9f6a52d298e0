"""One file per strategy, one folder per family; `outthink.catalogue` finds them by file name.

A strategy file holds its algorithm and nothing else: rules it shares with others live in `outthink.parts`.
"""
