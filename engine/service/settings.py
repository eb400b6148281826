"""What `serve` can be told; frozen, so that it can be handed to every worker process."""

from dataclasses import dataclass

from engine.stores.opening import Synchronous


@dataclass(frozen=True, slots=True)
class Settings:
    """`database` and `postgres_data`: see `stores.opening.located`. `port` 0 takes a free one.

    `cache` None: on with one worker, off with several, since each process would keep its own and
    show balances that another has changed meanwhile. `work_ms` is a declared delay inside the
    locked section. Locks idle for `idle_s` are forgotten every `sweep_s`. `operation_lines` writes
    one JSON line for each mutation to standard error.
    """

    database: str
    postgres_data: str | None = None
    lock: str = "per-user"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    cache: bool | None = None
    work_ms: float = 0.0
    idle_s: float = 60.0
    sweep_s: float = 10.0
    synchronous: Synchronous = "NORMAL"
    operation_lines: bool = False

    @property
    def cached(self) -> bool:
        """Whether each worker keeps a cache."""
        return self.workers == 1 if self.cache is None else self.cache
