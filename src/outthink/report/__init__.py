"""Evaluations as tables, plots and pages. Numbers are made in `outthink.evaluation`; nothing here computes an estimate."""
