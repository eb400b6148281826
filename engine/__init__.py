"""walletrace's engine, floor by floor. A floor imports only floors below it; siblings never meet.

floor 0, words       `money` `errors` `operations` `history` `recording` `timings` `verdicts`
                     `results` `resident`: values and pure functions, standard library only
                     (Locust's gevent processes too import them)
floor 1, ports       `ports`: Runtime, Store, Ledger, LockStrategy, Cache, Monitor, as protocols
floor 2, parts       `locks/` `stores/` `caches` `cached_reads` `runtimes` `timed` `monitoring`;
                     above them `wallet`, and above it `orders`
floor 3, judges      `histories/` (columns, files), `checks/` above them, and `catalog`: name to
                     part, a user's own included
floor 4, drivers     `explore/` (every interleaving), `load/` (closed-loop load), `isolation/`
                     (anomalies on the live database); above them `crashes/` (processes killed)
floor 5, edge        `service/` (HTTP)

Above the engine stand `reports/` (what was found), `scenarios/` (what happens, and the command
line) and, in processes of their own, `locustfiles/`.
"""
