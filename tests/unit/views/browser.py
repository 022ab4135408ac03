"""A browser without a screen, driven as the WebDriver standard of the W3C says."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # what the standard calls the member with an element's number
_DRIVER = ["chromedriver", "--port=0"]
_OPTIONS = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}


class Pages(ThreadingHTTPServer):
    """Serves one file: a browser that Ubuntu has as a snap sees none of /tmp."""

    page: Path


class _Answer(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        page = self.server.page
        found = self.path == f"/{page.name}"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "image/svg+xml" if page.suffix == ".svg" else "text/html")
        self.end_headers()
        self.wfile.write(page.read_bytes() if found else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served() -> Iterator[Pages]:
    with Pages(("127.0.0.1", 0), _Answer) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        try:
            yield pages
        finally:
            pages.shutdown()
            thread.join()


class Browser:
    """A page in a browser."""

    def __init__(self, address: str, pages: Pages | None = None) -> None:
        self._address = address
        self._pages = pages

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Send one command, and return its answer."""
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(f"{self._address}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def open(self, page: Path) -> None:
        """Load a page."""
        assert self._pages
        self._pages.page = page
        self.ask("POST", "/url", url=f"http://127.0.0.1:{self._pages.server_port}/{page.name}")

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page, and return what it returns."""
        return self.ask("POST", "/execute/sync", script=script, args=list(arguments))

    def click(self, selector: str) -> None:
        """Click on what a CSS selector finds first, as a person does: whatever lies above it is hit instead."""
        element = self.ask("POST", "/element", using="css selector", value=selector)[_ELEMENT]
        self.ask("POST", f"/element/{element}/click")

    def answer(self, text: str) -> None:
        """Answer the page's question."""
        self.ask("POST", "/alert/text", text=text)
        self.ask("POST", "/alert/accept")

    def press(self, *keys: str) -> None:
        """Press keys together."""
        steps = [{"type": "keyDown", "value": key} for key in keys]
        steps += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": steps}])


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser."""
    with _served() as pages, subprocess.Popen(_DRIVER, stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout
            port = (
                next(line for line in driver.stdout if "started successfully on port" in line).rstrip(".\n").split()[-1]
            )
            server = Browser(f"http://127.0.0.1:{port}")
            options = {"alwaysMatch": {"goog:chromeOptions": _OPTIONS, "unhandledPromptBehavior": "ignore"}}
            session = server.ask("POST", "/session", capabilities=options)["sessionId"]
            try:
                yield Browser(f"http://127.0.0.1:{port}/session/{session}", pages)
            finally:
                server.ask("DELETE", f"/session/{session}")
        finally:
            driver.terminate()
