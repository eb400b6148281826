"""Await something to its end, whatever happens to the task that awaits it.

`wait_out` shields a task. Giving a coroutine one of its own costs more than a statement on a fast
database does: with `uncancelled` it runs in the caller's task, and a future that it waits for is
watched through another one.
"""

import asyncio
import types
from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
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


@types.coroutine
def uncancelled(work: Coroutine[Any, Any, T]) -> Generator[Any, None, T]:
    """The result of `work`; a cancellation is let through only after `work` has ended.

    `work` must not use `asyncio.timeout`, which is a cancellation too.
    """
    cancelled = False
    try:
        while True:
            awaited = work.send(None)
            if awaited is None:  # it only wants to be called again
                try:
                    yield
                except asyncio.CancelledError:
                    cancelled = True
                continue
            awaited._asyncio_future_blocking = False  # as a task does with what it is given
            while not awaited.done():
                # What a task waits for is what its cancellation cancels: so it waits for this.
                ended = awaited.get_loop().create_future()
                awaited.add_done_callback(partial(_tell, ended))
                try:
                    yield from ended
                except asyncio.CancelledError:
                    cancelled = True
    except StopIteration as ended:
        if cancelled:
            raise asyncio.CancelledError from None
        return ended.value  # type: ignore[no-any-return]
    except Exception:
        if cancelled:
            raise asyncio.CancelledError from None
        raise


def _tell(ended: "asyncio.Future[None]", _: "asyncio.Future[Any]") -> None:
    if not ended.done():
        ended.set_result(None)
