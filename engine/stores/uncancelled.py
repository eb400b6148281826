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
            if awaited is None:  # it only wants to be called again
                cancelled |= yield from _waited(None)
                continue
            awaited._asyncio_future_blocking = False  # as a task does with what it is given
            while not awaited.done():
                cancelled |= yield from _waited(awaited)
    except StopIteration as ended:
        if cancelled:
            raise asyncio.CancelledError from None
        return ended.value  # type: ignore[no-any-return]
    except Exception:
        if cancelled:
            raise asyncio.CancelledError from None
        raise


def _waited(awaited: "asyncio.Future[Any] | None") -> Generator[Any, None, bool]:
    """Wait once, shielded; True if the caller was cancelled. How `awaited` ended is not told."""
    try:
        if awaited is None:
            yield
        else:
            yield from asyncio.shield(awaited)
    except asyncio.CancelledError:
        return awaited is None or not awaited.cancelled()
    except Exception:
        pass
    return False
