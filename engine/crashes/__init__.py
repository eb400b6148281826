"""Crash tests: real worker processes over one database, killed and paused while they work.

`worker` is such a process, `crew` keeps several of them, `driver` has them work and strikes them,
and `judgement` judges by the money and by what was acknowledged.
"""
