"""`python -m outthink` is `outthink`."""

from outthink.cli import main

main()
