"""How much memory this process holds, for searches that must stop before it is too much."""

import os
import resource
import sys

_HELD = "/proc/self/statm"  # in pages; the second number is what is resident


def memory_mb() -> float:
    """The memory this process holds now, in MB; where nobody tells, the most it ever held."""
    try:
        held = os.open(_HELD, os.O_RDONLY)
        pages = int(os.read(held, 100).split()[1])
        os.close(held)
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)
    return pages * resource.getpagesize() / 2**20
