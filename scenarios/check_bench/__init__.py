"""`make bench-checks`: how fast histories are judged, in how much memory, beside our targets.

Each case has a process of its own that holds nothing but the history, so that its memory can be
told; all take turns round by round, since machines drift. Verdicts count first: a case that is not
answered rightly has no figure.
"""
