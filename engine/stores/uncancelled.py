"""Await something to its end, whatever happens to the task that awaits it; without another task.

`asyncio.shield` does the same for a coroutine by giving it a task of its own, which costs more than
a statement on a fast database does. Here the coroutine runs in the caller's task, and only the
futures that it waits for are shielded.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def uncancelled(work: Coroutine[Any, Any, T]) -> Generator[Any, None, T]:
    """The result of `work`; a cancellation is let through only after `work` has ended.

    `work` must not use `asyncio.timeout`, which is a cancellation too.
    """
    cancelled = False
    try:
        while True:
            awaited = work.send(None)
            if awaited is None:  # `asyncio.sleep(0)`
                cancelled |= yield from _shielded(asyncio.sleep(0))
                continue
            awaited._asyncio_future_blocking = False  # as a task does with what it is given
            while not awaited.done():
                cancelled |= yield from _shielded(awaited)
    except StopIteration as ended:
        if cancelled:
            raise asyncio.CancelledError from None
        return ended.value  # type: ignore[no-any-return]
    except Exception:
        if cancelled:
            raise asyncio.CancelledError from None
        raise


def _shielded(awaited: Any) -> Generator[Any, None, bool]:
    """Wait once for `awaited`, whose outcome is its own affair; whether we were cancelled."""
    try:
        yield from asyncio.shield(awaited).__await__()
    except asyncio.CancelledError:
        return not (awaited.done() and awaited.cancelled())
    except Exception:
        pass
    return False
