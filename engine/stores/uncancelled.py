"""Await something to its end, whatever happens to the task that awaits it.

`wait_out` shields a task. Giving a coroutine one of its own costs more than a statement on a fast
database does: with `uncancelled` it runs in the caller's task, which is kept from cancelling what
it waits for.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


async def wait_out(work: Awaitable[T]) -> T:
    """The result of `work`; a cancellation is let through only after `work` has ended."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except BaseException:
            break
    if cancelled and not task.cancelled():
        task.exception()  # marks it as seen
        raise asyncio.CancelledError
    return task.result()


class _Awaited:
    """A future as a task sees it that cannot cancel it: its own cancellation waits for the end."""

    __slots__ = ("_asyncio_future_blocking", "_future")

    def __init__(self, future: "asyncio.Future[Any]") -> None:
        self._future = future
        self._asyncio_future_blocking = True

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def add_done_callback(self, wake: Callable[..., None], *, context: Context) -> None:
        self._future.add_done_callback(wake, context=context)

    def cancel(self, msg: object = None) -> bool:
        return False


@types.coroutine
def uncancelled(work: Coroutine[Any, Any, T]) -> Generator[Any, None, T]:
    """The result of `work`; a cancellation is let through only after `work` has ended.

    `work` must not use `asyncio.timeout`, which is a cancellation too.
    """
    cancelled = False
    try:
        while True:
            awaited = work.send(None)
            try:
                if awaited is None:  # it only wants to be called again
                    yield
                else:
                    awaited._asyncio_future_blocking = False  # as a task does with what it gets
                    yield _Awaited(awaited)
            except asyncio.CancelledError:
                cancelled = cancelled or awaited is None or not awaited.cancelled()
            except Exception:
                pass  # the future's own, which `work` is told when it goes on
    except StopIteration as ended:
        if cancelled:
            raise asyncio.CancelledError from None
        return ended.value  # type: ignore[no-any-return]
    except Exception:
        if cancelled:
            raise asyncio.CancelledError from None
        raise
