"""Leases and decisions in the model: rows of their own, changed by statements that commit alone."""

from engine.explore.tables import Database, Lease, lookup, stored


def lease_on(db: Database, key: str) -> Lease:
    """The lease as it is; one that was never taken is free."""
    return lookup(db.leases, key) or Lease()


def taken(db: Database, lane: str, key: str, owner: str) -> tuple[Database, int]:
    """The lease is the owner's; its token is the answer."""
    token = lease_on(db, key).token + 1
    return db._replace(leases=stored(db.leases, key, Lease(owner, lane, token))), token


def given(db: Database, key: str, owner: str) -> Database:
    """The lease is nobody's, if it was the owner's."""
    lease = lease_on(db, key)
    if lease.owner != owner:
        return db
    return db._replace(leases=stored(db.leases, key, Lease(token=lease.token)))


def decided(db: Database, key: str, value: str) -> tuple[Database, str]:
    """The first value stands, and is the answer."""
    standing = lookup(db.decisions, key)
    if standing is not None:
        return db, standing
    return db._replace(decisions=stored(db.decisions, key, value)), value


def expired(db: Database, lane: str) -> Database:
    """Time has passed the lane's leases by: whoever asks for one gets it."""
    leases = tuple(
        (key, lease._replace(expired=True) if lease.lane == lane and lease.owner else lease)
        for key, lease in db.leases
    )
    return db._replace(leases=leases)


def holds_lease(db: Database, lane: str) -> bool:
    """Whether the lane holds a lease that time could pass by."""
    return any(lease.lane == lane and not lease.free for _, lease in db.leases)


def leaked(db: Database) -> list[str]:
    """What was never given back."""
    leases = [f"lease on {key}" for key, lease in db.leases if not lease.free]
    return leases + [f"transaction of {lane}" for lane, _ in db.open]
