"""The bug zoo: strategies and services that are wrong on purpose, each beside a right one.

It tests the tester: every wrong one must be found broken with a short witness, every right one
proven safe. `hall.EXHIBITS` lists them all; `walletrace zoo` shows them.
"""
