"""Strategies that stop early: sampling once the vote is settled, or a sample once it is hopeless or done."""
