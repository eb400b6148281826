"""Of all orders of a run that mean the same, the one that a person would tell.

Steps that do not touch the same thing commute; among the equivalent orders of a run the one told
is that in which earlier clients go first as long as they can. For the documented race that is the
guide's: A reads, B reads, A writes, B writes.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from engine.explore.controller import Move, Taken
from engine.explore.independence import Footprint, depend, touches


class Canonical:
    """Puts runs into the equivalent order in which earlier clients go first wherever they can.

    The moves that runs share are looked at once. Sets of moves are bits, by the moves' numbers.
    """

    def __init__(self, lanes: Sequence[str]) -> None:
        self._order = {lane: number for number, lane in enumerate(lanes)}
        self._numbers: dict[int, int] = {}
        self._moves: list[tuple[Taken, Footprint]] = []
        # Of each move those it was compared with, and those it cannot be swapped with.
        self._compared: list[int] = []
        self._ordered: list[int] = []

    def best(self, candidates: Iterable[Sequence[Taken]]) -> tuple[str, ...]:
        """Of all these runs' equivalent schedules the one in which earlier clients go first."""
        told = min(map(self._told, candidates), key=lambda told: told[0])
        return tuple(str(move) for move in told[1])

    def _told(self, taken: Sequence[Taken]) -> tuple[list[int], list[Move]]:
        """Whose turn it is, and the moves, in the equivalent order."""
        last, earlier = len(self._order), 0
        rest = []
        for each in taken:
            number = self._number(each)
            place = self._order.get(each.move.lane, last)
            rest.append((place, each.move, 1 << number, self._before(number, earlier)))
            earlier |= 1 << number
        rest.sort(key=itemgetter(0))
        told: list[tuple[int, Move]] = []
        done = 0
        while rest:
            first = next(i for i, (_, _, _, before) in enumerate(rest) if not before & ~done)
            place, move, own, _ = rest.pop(first)
            told.append((place, move))
            done |= own
        return [place for place, _ in told], [move for _, move in told]

    def _number(self, move: Taken) -> int:
        """The move's number. It is kept, so that no other one ever has its address."""
        number = self._numbers.setdefault(id(move), len(self._moves))
        if number == len(self._moves):
            self._moves.append((move, touches(move)))
            self._compared.append(0)
            self._ordered.append(0)
        return number

    def _before(self, number: int, earlier: int) -> int:
        """Those of the earlier moves that this one cannot be swapped with."""
        unknown = earlier & ~self._compared[number]
        self._compared[number] |= unknown
        while unknown:
            other = unknown.bit_length() - 1
            unknown ^= 1 << other
            if self._is_ordered(other, number):
                self._ordered[number] |= 1 << other
        return self._ordered[number] & earlier

    def _is_ordered(self, one: int, other: int) -> bool:
        (first, touched), (second, touches_too) = self._moves[one], self._moves[other]
        return first.move.lane == second.move.lane or depend(touched, touches_too)
