"""Crash tests: real worker processes over one database, killed and paused while they work.

`worker` is such a process, `crew` keeps several of them, `blows` says where one is struck, `driver`
runs them and strikes, and `judgement` judges by the money and by what was acknowledged.
"""
