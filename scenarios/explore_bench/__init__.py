"""`make bench-explore`: our explorer beside frontrun and detangle on the same programs, in one run.

Each tool lives in a warm process of its own (frontrun patches asyncio and traces, detangle brings
an event loop), so none of them slows another. They take turns round by round, since machines
drift by more than tools differ. Left out of every figure: imports, the start of the process, and
the first run of each program. What a tool cannot answer within the limit "did not finish".
"""
