"""Evaluations as tables, plots and pages. Numbers are made in `outthink.evaluate`; nothing here computes an estimate."""
