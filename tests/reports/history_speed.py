"""How quick the page of 10,000 calls is: `python -m tests.reports.history_speed` prints it."""

import sys
import tempfile
from pathlib import Path
from statistics import median

from reports.history_page import write_history_page
from tests.reports.headless import Tab, browser, found
from tests.reports.history_samples import stale_cycle

FRAMES = 120

# Reading a pixel back makes the browser finish what it only promised to draw.
FRAME = f"""(() => {{
  const took = [];
  for (let frame = 0; frame < {FRAMES}; frame++) {{
    const began = performance.now();
    %s;
    draw();
    chart.pen.getImageData(0, 0, 1, 1);
    strip.pen.getImageData(0, 0, 1, 1);
    overview.pen.getImageData(0, 0, 1, 1);
    took.push(performance.now() - began);
  }}
  return took;
}})()"""
SCREEN = f"""new Promise((done) => {{
  const at = [];
  const step = (now) => {{
    at.push(now);
    pan(0.01);
    if (at.length <= {FRAMES}) return requestAnimationFrame(step);
    done(at.slice(1).map((when, i) => when - at[i]));
  }};
  look(...full());
  requestAnimationFrame(step);
}})"""


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as folder, browser(program) as started:
        path = Path(folder) / "history.html"
        write_history_page(path, stale_cycle())
        print(f"{path.stat().st_size / 1e3:,.0f} kB, 10,000 calls of 32 clients, 1400x900")
        with started.tab() as tab:
            tab.size(1400, 900)
            firsts = []
            for _ in range(7):
                tab.open(path.as_uri())
                firsts.append(tab.js("performance.getEntriesByName('drawn')[0].startTime"))
            told("first draw, from navigation on", firsts)
            tab.js("look(...full())")
            told("pan, everything in sight", tab.js(FRAME % "pan(frame % 2 ? 0.01 : -0.01)"))
            tab.js("look(start, start + (end - start) / 20)")
            told("pan, a twentieth in sight", tab.js(FRAME % "pan(0.1)"))
            tab.js("look(...full())")
            told("zoom, from everything inwards", tab.js(FRAME % "zoom(0.95)"))
            screen(tab)


def screen(tab: Tab) -> None:
    """From frame to frame on the screen, everything in sight: 16.7 is all that a screen shows."""
    told("frame to frame on screen", tab.js(SCREEN))


def told(what: str, took_ms: list[float]) -> None:
    worst = sorted(took_ms)[int(len(took_ms) * 0.95)]
    print(f"{what:<32} median {median(took_ms):6.1f} ms   p95 {worst:6.1f} ms")


if __name__ == "__main__":
    chromium = found()
    if chromium is None:
        sys.exit("no Chromium is installed")
    main(chromium)
