"""The Starlette application, and the parts behind it from opening the database to closing it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import msgspec
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from engine.cached_reads import CachedReads, DirectReads
from engine.caches import MemoryCache
from engine.catalog import lock_strategy
from engine.errors import WalletraceError
from engine.monitoring import PrometheusMonitor, operation_logger
from engine.orders import Fulfil, OrderService, accept
from engine.ports import Monitor, Runtime, Store
from engine.runtimes import AsyncioRuntime
from engine.service import bodies, messages
from engine.service.handlers import Services
from engine.service.openapi import openapi_document
from engine.service.problems import HttpRefusal, problem_of
from engine.service.routes import ROUTES, Endpoint, Mutation, Page, Question
from engine.service.server_timing import NotingMonitor, noting
from engine.service.settings import Settings
from engine.stores.opening import Database, dialect_of, open_database
from engine.stores.working import Working
from engine.timed import TimedRuntime, Watched
from engine.wallet import WalletService

log = logging.getLogger("walletrace.service")
Answer = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    worker: int = 0,
    metrics: CollectorRegistry | None = None,
    fulfil: Fulfil = accept,
) -> AsyncIterator[Starlette]:
    """The application of one worker with all its parts, until the block ends.

    GET /metrics shows the registry `metrics`, by default this worker's own. StoreUnavailable,
    UsageError.
    """
    registry = CollectorRegistry()
    logger = operation_logger(enabled=settings.operation_lines)
    monitor = NotingMonitor(PrometheusMonitor(registry, logger))
    runtime = AsyncioRuntime()
    async with open_database(settings.database, synchronous=settings.synchronous) as database:
        sessions = _sessions(database, settings.work_ms / 1000)
        wallet = _wallet(settings, sessions, TimedRuntime(runtime), monitor)
        orders = OrderService(wallet, sessions, fulfil)
        services = Services(wallet, orders, database, metrics or registry)
        sweeper = asyncio.create_task(_sweep(wallet, settings.idle_s, settings.sweep_s))
        try:
            yield create_app(services, worker=worker)
        finally:
            sweeper.cancel()
            await runtime.drain()


def _sessions(database: Database, work_s: float) -> Callable[[], Store]:
    work = partial(asyncio.sleep, work_s)
    return (lambda: Working(database.session(), work)) if work_s else database.session


def _wallet(
    settings: Settings, sessions: Callable[[], Store], runtime: Runtime, monitor: Monitor
) -> WalletService:
    lock = Watched(lock_strategy(settings.lock, dialect_of(settings.database))(runtime), monitor)
    reads = (
        CachedReads(MemoryCache(), sessions, runtime, monitor)
        if settings.cached
        else DirectReads(sessions)
    )
    return WalletService(lock, sessions, runtime, reads=reads)


async def _sweep(wallet: WalletService, idle_s: float, sweep_s: float) -> None:
    while True:
        await asyncio.sleep(sweep_s)
        wallet.sweep(idle_s)


def create_app(services: Services, *, worker: int = 0) -> Starlette:
    """The application over ready parts; `worker` is the index that it names in its answers."""
    document = openapi_document(ROUTES, version("walletrace"))
    services = replace(services, document=msgspec.json.encode(document))
    app = Starlette(
        routes=[
            Route(
                route.path,
                _guarded(_answer(route, services), str(worker)),
                methods=[route.method],
                name=route.handler.__name__,
            )
            for route in ROUTES
        ],
        exception_handlers={HTTPException: _no_route},
    )
    app.router.redirect_slashes = False  # a route has one spelling
    return app


def _answer(route: Endpoint, services: Services) -> Answer:
    if isinstance(route, Mutation):
        return _mutation(route, services)
    if isinstance(route, Question):
        return _question(route, services)
    return _page(route, services)


def _mutation(route: Mutation, services: Services) -> Answer:
    async def answer(request: Request) -> Response:
        with noting() as notes:
            try:
                key = bodies.idempotency_key(request)
                body = bodies.decode_body(await bodies.read_body(request), type(route.example))
                account = request.path_params.get("account", "")
                receipt = await route.handler(services, account, body, key)
                response = _json(messages.Receipt.of(receipt), route.status)
                if notes.is_earlier(receipt):
                    response.headers["Idempotency-Replayed"] = "true"
            except Exception as error:
                response = _refused(request, error, notes.seen)
            response.headers["Server-Timing"] = notes.header()
            return response

    return answer


def _question(route: Question, services: Services) -> Answer:
    async def answer(request: Request) -> Response:
        query = bodies.decode_query(request.query_params, route.query)
        account = request.path_params.get("account", "")
        return _json(await route.handler(services, account, query))

    return answer


def _page(route: Page, services: Services) -> Answer:
    async def answer(request: Request) -> Response:
        return Response(route.handler(services), media_type=route.media_type)

    return answer


def _guarded(answer: Answer, worker: str) -> Answer:
    async def guarded(request: Request) -> Response:
        try:
            response = await answer(request)
        except Exception as error:
            response = _refused(request, error)
        response.headers["Walletrace-Worker"] = worker
        return response

    return guarded


def _json(message: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(message), status, media_type="application/json")


def _refused(
    request: Request, error: Exception, seen: Mapping[str, tuple[int, int]] | None = None
) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # nobody reads it
    if not isinstance(error, WalletraceError | HttpRefusal):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_of(error, seen)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "unknown_route", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    headers = dict(error.headers) if error.headers else None
    detail = f"{request.method} {request.url.path}: {error.detail}; see /openapi.json"
    return problem_of(HttpRefusal(error.status_code, code, detail, headers))
