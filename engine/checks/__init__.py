"""Judges, one file each. They look at balances, log and answers, never at HTTP statuses."""
