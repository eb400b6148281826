"""Chromium without a screen, spoken to through a pipe in its own protocol (DevTools).

A pipe needs no driver, no port and no library: messages are JSON, each ended by a zero byte.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ANSWER_S_MAX = 60.0
# Keys that the browser itself acts on it knows by these numbers.
NUMBERS = {"Enter": 13, "Escape": 27}


def found() -> str | None:
    """The browser's program, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page. `problems` is what it wrote to the console as errors, `requests` what it loaded."""

    def __init__(self, wire: "Wire", session: str) -> None:
        self._wire, self._session = wire, session
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        answer = self._wire.ask(method, parameters, self._session)
        for event in self._wire.events_of(self._session):
            self._note(event["method"], event.get("params", {}))
        return answer

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["exceptionDetails"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.problems.append(event["entry"]["text"])

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        done = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise AssertionError(done["exceptionDetails"])
        return done["result"].get("value")

    def open(self, url: str) -> None:
        self.do("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def until(self, expression: str) -> None:
        deadline = time.monotonic() + ANSWER_S_MAX
        while not self.js(f"!!({expression})"):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came true: {expression}")
            time.sleep(0.02)

    def size(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )
        self.do("Emulation.setTouchEmulationEnabled", enabled=mobile, maxTouchPoints=5)

    def prefer(self, **features: str) -> None:
        """Media features: `prefers_color_scheme="dark"`."""
        listed = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.do("Emulation.setEmulatedMedia", features=listed)

    def press(self, key: str, *, shift: bool = False) -> None:
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            held = {"modifiers": 8} if shift else {}
            more = text if kind == "keyDown" else {}
            number = {"windowsVirtualKeyCode": NUMBERS[key]} if key in NUMBERS else {}
            self.do("Input.dispatchKeyEvent", type=kind, key=key, **held, **more, **number)
        self.settle()

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.settle()

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        listed = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.do("Input.dispatchTouchEvent", type=kind, touchPoints=listed)
        self.settle()

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))


class Wire:
    """The pipe: questions with numbers, their answers, and events in between."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._asked, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []

    def ask(self, method: str, parameters: dict[str, Any], session: str = "") -> dict[str, Any]:
        self._asked += 1
        told = {"id": self._asked, "method": method, "params": parameters}
        rest = json.dumps(told | ({"sessionId": session} if session else {})).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._writing, rest) :]
        while True:
            message = self._next(method)
            if message.get("id") == self._asked:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result
            self._events.append(message)

    def events_of(self, session: str) -> list[dict[str, Any]]:
        mine = [event for event in self._events if event.get("sessionId") == session]
        self._events = [event for event in self._events if event.get("sessionId") != session]
        return mine

    def _next(self, method: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._reading], [], [], ANSWER_S_MAX)[0]:
                raise AssertionError(f"the browser did not answer {method}")
            came = os.read(self._reading, 1 << 20)
            assert came, "the browser went away"
            self._rest += came
        message, _, self._rest = self._rest.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


class Browser:
    """A browser whose tabs share nothing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @contextlib.contextmanager
    def tab(self) -> Iterator[Tab]:
        context = self._wire.ask("Target.createBrowserContext", {})["browserContextId"]
        blank = {"url": "about:blank", "browserContextId": context}
        target = self._wire.ask("Target.createTarget", blank)["targetId"]
        attach = {"targetId": target, "flatten": True}
        try:
            yield Tab(self._wire, self._wire.ask("Target.attachToTarget", attach)["sessionId"])
        finally:
            self._wire.ask("Target.disposeBrowserContext", {"browserContextId": context})


@contextlib.contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start it, and end it and what it wrote when done."""
    to_browser, from_browser = os.pipe(), os.pipe()

    # The browser reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
    ends = to_browser[0], from_browser[1]
    numbered = 'exec "$0" "$@" 3</dev/fd/{} 4>/dev/fd/{}'.format(*ends)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [
            *(
                "sh",
                "-c",
                numbered,
                program,
                "--headless=new",
                "--remote-debugging-pipe",
                f"--user-data-dir={home}",
            ),
            *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *("--disable-background-networking", "--force-color-profile=srgb", "about:blank"),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=ends,
        )
        try:
            wire = Wire(from_browser[0], to_browser[1])
            yield Browser(wire)
            with contextlib.suppress(AssertionError, OSError):
                wire.ask("Browser.close", {})
            process.wait(10)
        finally:
            process.kill()
            process.wait()
            for descriptor in (*to_browser, *from_browser):
                os.close(descriptor)
