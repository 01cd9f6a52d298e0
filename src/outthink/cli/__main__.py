"""`python -m outthink.cli` is `outthink`."""

from outthink.cli import main

main()
