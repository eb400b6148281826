"""A plain dict in a cell, looked at key by key; its values are in the memory put before it.

As soon as somebody looks at all of it, its order matters: the search then begins again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.explore.frozen import freeze_item, thaw_item
from engine.explore.tracking import LOOKS_AT_ALL

if TYPE_CHECKING:
    from engine.explore.recall import Item, Recall

ABSENT = "absent\0"


class KeyedDict(dict[Any, Any]):
    """A dict whose values are elsewhere."""

    def __init__(self, recall: "Recall", item: "Item", initial: Mapping[Any, Any]) -> None:
        super().__init__()
        self._recall = recall
        self._cell = item
        self._initial = initial

    def _look(self, key: Any) -> Any:
        item = self._cell._replace(keyed=True, key=freeze_item(key))
        return self._recall.look(item, self._initial.get(key, ABSENT))

    def _change(self, key: Any, value: Any) -> None:
        item = self._cell._replace(keyed=True, key=freeze_item(key))
        self._recall.change(item, value, self._initial.get(key, ABSENT))

    def __contains__(self, key: object) -> bool:
        return bool(self._look(key) != ABSENT)

    def __getitem__(self, key: Any) -> Any:
        frozen = self._look(key)
        if frozen == ABSENT:
            raise KeyError(key)
        return thaw_item(frozen, self._recall.mutex)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._change(key, self._recall.fit(freeze_item, value, self._cell))

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self._change(key, ABSENT)

    def get(self, key: Any, default: Any = None) -> Any:
        frozen = self._look(key)
        return default if frozen == ABSENT else thaw_item(frozen, self._recall.mutex)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value


def _as_a_whole(self: KeyedDict, *args: Any, **items: Any) -> Any:
    self._recall.use_whole(self._cell.cell)


for _name in LOOKS_AT_ALL:
    setattr(KeyedDict, _name, _as_a_whole)
