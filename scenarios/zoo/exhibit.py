"""What an exhibit is: one hazard, a wrong variant that falls to it and a right one that does not.

A variant is what differs between the two: a lock strategy, another part of the service, or what
the clients do. The rest of the story is shared, so that nothing else can make the difference.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from engine.catalog import MakeLock
from engine.explore.client import Client, Parts
from engine.explore.faults import Faults
from engine.explore.scenario import Program, Scenario
from engine.explore.world import Setting
from engine.verdicts import Break

Run = Callable[[Client], Awaitable[object]]

ALICE = {"alice": 1000_00}
NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One hazard. `breaks` is the kind of break that must be among those found in the wrong one.

    `number` is the hazard's in the list of those that real systems had, 0 for one of our own.
    """

    name: str
    hazard: str
    breaks: Break
    wrong: Setting
    right: Setting
    number: int = 0

    @property
    def source(self) -> str:
        """Where the hazard was read; empty for one of our own."""
        return SOURCES.get(self.number, "")


def exhibit(
    name: str,
    hazard: str,
    *,
    breaks: Break,
    clients: Mapping[str, Run],
    wrong: MakeLock | Parts,
    right: MakeLock | Parts,
    right_clients: Mapping[str, Run] | None = None,
    after: Mapping[str, str] | None = None,
    openings: Mapping[str, int] | None = None,
    correct: Mapping[str, int] | None = None,
    always: bool = False,
    cached: bool = False,
    faults: Faults = NO_FAULTS,
    topology: str = "one-service",
    number: int = 0,
) -> Exhibit:
    """An exhibit whose two variants share the story; `after` maps a client to whom it waits for."""
    waits = after or {}

    def setting(variant: MakeLock | Parts, runs: Mapping[str, Run]) -> Setting:
        scenario = Scenario(
            name=name,
            title=name.replace("-", " "),
            story=hazard,
            openings=ALICE if openings is None else openings,
            programs=tuple(
                Program(client, run, after=(waits[client],) if client in waits else ())
                for client, run in runs.items()
            ),
            expected=lambda lock, topology: None,
            correct=correct,
            always=always,
            faults=faults,
            cached=cached,
        )
        return Setting(
            scenario, topology, variant if isinstance(variant, Parts) else Parts(variant)
        )

    return Exhibit(
        name,
        hazard,
        breaks,
        setting(wrong, clients),
        setting(right, clients if right_clients is None else right_clients),
        number,
    )


def withdraw(amount: str, account: str = "alice", *, key: str | None = None) -> Run:
    """A client that withdraws once."""

    async def run(client: Client) -> None:
        await client.withdraw(account, amount, key=key)

    return run


def add(amount: str, account: str = "alice") -> Run:
    """A client that deposits once."""

    async def run(client: Client) -> None:
        await client.add(account, amount)

    return run


def transfer(source: str, target: str, amount: str) -> Run:
    """A client that transfers once."""

    async def run(client: Client) -> None:
        await client.transfer(source, target, amount)

    return run


def ask(account: str = "alice") -> Run:
    """A client that asks for a balance."""

    async def run(client: Client) -> None:
        await client.balance(account)

    return run


def in_turn(*runs: Run) -> Run:
    """A client that does one thing after the other."""

    async def run(client: Client) -> None:
        for each in runs:
            await each(client)

    return run


# Where the hazards that real systems had were read, by their number.
SOURCES: Mapping[int, str] = {
    1: "ACIDRain (22 critical attacks in 12 shops); Azuriom/Plugin-Shop#285; medusajs/medusa#16347",
    2: "benoitc/gunicorn#2251; cashubtc/nutshell#256; bavix/laravel-wallet's default lock driver",
    3: "bavix/laravel-wallet#124; litestar-org/advanced-alchemy#607",
    4: "LerianStudio/midaz#2485; akash-network/console#3449",
    5: "LerianStudio/midaz#2444; bavix/laravel-wallet#258, #347",
    6: "MCSManager/MCSManager#2242; bytedance/deer-flow#5176",
    7: "SuperteamDAO/earn#1478",
    8: "superdesigndev/treg#460; GaloyMoney/cala#779",
    9: "interledger five-bells-ledger#402",
    10: "getlago/lago-api#2664",
    11: "jasync-sql#245; third-culture-software/bhima#1380",
    12: "python/cpython#1031; tox-dev/filelock#640",
    13: "formancehq/ledger#764",
    14: "jentic/jentic-one#529",
    15: "goauthentik/authentik#23876",
    16: "aeecleclair/Hyperion#295",
    17: "spree/spree#13734",
}

# The documented race, which most exhibits use: correct is 800.00 whatever the order.
RACE: Mapping[str, Run] = {"A": withdraw("500.00"), "B": add("300.00")}
RACE_CORRECT = {"alice": 800_00}
