"""`make bench-stores`: what each lock strategy costs on its store, beside pgbench and bare sqlite3.

The references run the same transaction on the same tables. All take turns round by round, since
machines drift by more than strategies differ; a ratio is the median of paired rounds.
"""
