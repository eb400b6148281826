"""Which anomalies an isolation level lets happen, found on the live database itself.

An anomaly is a few short transactions, written down as values, and a predicate over what they read
and what they left. Every interleaving of their statements is run on the live database, one
statement at a time, each session on a connection of its own. So "prevented" means "in none of
them", and "possible" comes with the schedule of fewest preemptions in which it happens.

`scripts`    statements, sessions and scripts: values
`anomalies`  the catalogue, after ept/hermitage, and three stories about money
`levels`     the isolation levels, and the table that is expected
`live`       what the explorer asks of a live database; `live_sqlite`, `live_postgres`
`explorer`   every interleaving of one script
`matrix`     every anomaly at every level, compared with what is expected
"""
