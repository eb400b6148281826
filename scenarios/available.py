"""The databases that a comparison runs on, as far as this machine can have them."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from engine.errors import StoreUnavailable, UsageError
from engine.stores.opening import located


@contextmanager
def available(stores: Collection[str]) -> Iterator[tuple[dict[str, str], str]]:
    """Where each of `stores` is until the block ends, and why PostgreSQL is not among them, if so.

    SQLite is always there. PostgreSQL, which is not, is a wheel that need not be installed and a
    server that may not be allowed to start; neither should cost the reader the rest.
    """
    missing = ""
    with ExitStack() as stack:
        addresses = {}
        for store in stores:
            try:
                addresses[store] = stack.enter_context(located(store))
            except (StoreUnavailable, UsageError) as error:
                missing = str(error)
        yield addresses, missing
