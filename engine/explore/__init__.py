"""Every interleaving of a scenario: in the model, and gated step by step on a real database.

What happens     `scenario` `client` `own_wallet` `faults` `steps` `stage`: programs, the house of
                 service instances they knock at, and each step announced before it is taken
Worlds           `world`: `model` (coroutines by hand), `gated` (a real database), and both with
                 asyncio inside: `looped` `loop` `troupe` `puppet` `awaiting`
Databases        `rules`: of SQLite `memory`, of PostgreSQL `memory_postgres` and `locking`, over
                 `tables` `statements` `leases`; real ones `live_stores` `live`: `live_sqlite`,
                 `live_postgres` with `row_locks` and `deadlock`
One run          `controller` decides whose step is next, `judge` says what broke, `witness`
                 tells it in `reading_order`, `regression` repeats it in code that has changed
Ways to search   `plan` chooses: `states` by the graph, `search` schedule by schedule, `reduction`
                 trace by trace, `sampling` by luck; `harvest` adds runs up, `cells` is the way in
The state graph  `frozen` `recall` `keyed` `unseen` `outliving`: memory as a value, and memory out
                 of sight; `solo` `automaton`: one client as an automaton; `shared` `past` `moves`
                 `graph`: states; `count` `shortest` `ends`: what is read off them
Traces           `independence` `tracking` `recorder`: which moves commute
"""
