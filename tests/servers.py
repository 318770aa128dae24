"""Servers on loopback for tests: S3 in a process of its own, and a gate before it.

The gate is an HTTP server that hands requests on to another one. It counts what travels, and can
refuse, delay or break what passes through it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FORBIDDEN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message></Error>"
)
BUSY = FORBIDDEN.replace(b"AccessDenied", b"SlowDown").replace(b"Access Denied", b"Reduce")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def put(url: str, content: bytes = b"", *, acl: str = "public-read") -> None:
    """Make a bucket (no content) or an object."""
    headers = {"Content-Type": "application/octet-stream", "x-amz-acl": acl}
    request = urllib.request.Request(url, data=content, headers=headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@contextlib.contextmanager
def moto_server():
    """An S3 server; yields its URL."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(port)]
    log = open(os.devnull, "w")  # noqa: SIM115
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, "the S3 server did not start"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()
        log.close()


class Gate:
    """An HTTP server that hands requests on to `target` and counts.

    Attributes
    ----------
    needs_key : bool
        Refuse requests without a signature (403).
    busy : int
        Answer that many requests with 503.
    cut_at : int or None
        Break answers with longer bodies off after so many bytes...
    n_cuts : int
        ... the first so many times that a request is made.
    on_request : callable or None
        Called with the number of the request before it is handed on.
    """

    def __init__(self, target: str) -> None:
        self.target = target.removeprefix("http://")
        self.needs_key = False
        self.ignores_ranges = False
        self.busy = 0
        self.cut_at = None
        self.n_cuts = 0
        self.on_request = None
        self.requests: list[tuple[str, str]] = []
        self.bytes_sent = 0
        self._lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                gate.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, handler):
        with self._lock:
            self.requests.append((handler.path, handler.headers.get("Range", "")))
            n = len(self.requests)
            busy = self.busy > 0
            self.busy -= busy
        if self.on_request:
            self.on_request(n)
        if self.needs_key and "Authorization" not in handler.headers:
            self._send(handler, 403, [("Content-Type", "application/xml")], FORBIDDEN)
        elif busy:
            self._send(handler, 503, [("Content-Type", "application/xml")], BUSY)
        else:
            self._send(handler, *self._ask(handler))

    def _ask(self, handler):
        connection = http.client.HTTPConnection(self.target)
        headers = dict(handler.headers)
        if self.ignores_ranges:
            headers.pop("Range")
        connection.request(handler.command, handler.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        skipped = ("transfer-encoding", "connection", "content-length")
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in skipped]
        return answer.status, headers, body

    def _send(self, handler, status, headers, body):
        with self._lock:
            request = (handler.path, handler.headers.get("Range", ""))
            cut = self.cut_at is not None and len(body) > self.cut_at
            cut = cut and self.requests.count(request) <= self.n_cuts
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}", "", ""]
        message = "\r\n".join(lines).encode() + (body[: self.cut_at] if cut else body)
        with contextlib.suppress(OSError):
            handler.wfile.write(message)
            handler.wfile.flush()
        with self._lock:
            self.bytes_sent += len(message)
        if cut:
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
