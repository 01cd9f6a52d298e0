"""Training of the models that ship with Outthink. Never part of the package, never run in CI."""
