"""Load on the wallet by a closed loop of asyncio clients: driver, clocks, rounds, statistics."""
