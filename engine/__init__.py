"""walletrace's engine, floor by floor. A floor imports only floors below it; siblings never meet.

floor 0, words       `money` `errors` `operations` `history` `timings` `verdicts`: values and pure
                     functions, standard library only (Locust's gevent processes import them too)
floor 1, ports       `ports`: Runtime, Store, LockStrategy, Cache, Monitor, as small protocols
floor 2, parts       `wallet` `orders` `locks/` `stores/` `caches` `monitoring` `runtimes`
floor 3, drivers     `explore/` (every interleaving), `load/` (closed-loop load), `checks/` (judges)
floor 4, edges       `catalog` (name to part), `service/` (HTTP)

Above the engine stand `reports/` (what was found), `scenarios/` (what happens, and the command
line) and, in processes of their own, `locustfiles/`.
"""
