"""One worker process of the service: opens its own parts, listens, and ends when its parent says.

The pipe to the parent carries one text: empty once the worker listens, else what went wrong. The
parent closes it to stop the worker; it also closes when the parent dies, so that none is orphaned.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socket

import uvicorn
import uvloop

from engine.errors import WalletraceError
from engine.service.settings import Settings

METRICS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Requests under way get this long to finish when the service stops.
GRACE_S = 10
# Longer than any pause of a client that keeps its connections, so that we never close first.
KEEP_ALIVE_S = 75


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


def work(settings: Settings, worker: int, port: int, parent: Connection) -> None:
    """The whole life of worker number `worker`."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # Ctrl+C reaches all processes; only the parent acts
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(settings, worker, port, parent))
        except WalletraceError as error:
            _tell(parent, str(error))


def _tell(parent: Connection, text: str) -> None:
    with suppress(BrokenPipeError):  # the parent stops us already, and has closed its end
        parent.send(text)


async def _serve(settings: Settings, worker: int, port: int, parent: Connection) -> None:
    # Imported here: prometheus_client looks for its directory when it is first imported.
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    from engine.service.app import opened
    from engine.service.sockets import shared_socket

    metrics = None
    if METRICS_DIR_VARIABLE in os.environ:
        metrics = CollectorRegistry()
        MultiProcessCollector(metrics)  # type: ignore[no-untyped-call]
    async with opened(settings, worker=worker, metrics=metrics) as app:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = _Server(config, listening=lambda: _tell(parent, ""))
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(parent.fileno())
            server.should_exit = True

        loop.add_reader(parent.fileno(), stop)
        await server.serve([shared_socket(settings.host, port)])
