"""Histories as columns: what was recorded of a run, on its way from disk to the judges."""
