"""Load over HTTP with Locust, judged by money. Start one of `wallet` `steady` `ramp` `spike`.

`wallet` holds the users and `shapes` how their number moves; `run` ties them to Locust's events, in
one process or as master and workers. The rest imports neither Locust nor gevent: `requests` draws
what to send, `answers` and `lock_wait` read what comes back, `ledger` and `tally` add it up,
`service` asks for the balances, and `judgement` compares.
"""
