"""Pages of another site, opened in a real browser: their attempts at an address, and their origins."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer

from registry_tui.platform.ports import LOOPBACK

#: The address that the name of a rebound page has: an attacker's server, which passes on to this machine.
REBOUND = "127.0.0.2"
PAGE = b"<!doctype html><title>foreign</title><link rel=icon href='data:,'><body>"
_PICTURE = b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'></svg>"
#: Tries every way in which a page can ask, and returns those by which it learned something: way, address, status, text.
TRY = """
(async (addresses, mine) => {
  const learned = [];
  const learn = (way, address, status, text) => learned.push([way, address, status, String(text).slice(0, 200)]);
  const late = (promise) => Promise.race([promise, new Promise((done) => setTimeout(done, 20000))]);
  const fields = { name: mine, username: mine, password: '0123456789abcdef', Action: 'CreateUser', UserName: mine };
  const json = JSON.stringify(fields);
  const form = () => Object.entries(fields).reduce((all, [k, v]) => (all.append(k, v), all), new FormData());
  const asked = (way, address, options) =>
    fetch(address, options).then(async (answer) => {
      if (answer.type !== 'opaque') learn(way, address, answer.status, await answer.text());
    }, () => {});
  const element = (way, address, made) =>
    new Promise((done) => {
      made.onload = () => (learn(way, address, 200, ''), done());
      made.onerror = done;
      made.src = address;
      document.body.append(made);
    });
  const opened = (way, address, made) =>
    new Promise((done) => {
      made.onopen = () => (learn(way, address, 101, ''), made.close(), done());
      made.onerror = () => (made.close(), done());
    });
  const posted = (address, type) =>
    new Promise((done) => {
      const frame = document.createElement('iframe');
      frame.name = `f${Math.random()}`;
      document.body.append(frame);
      const sent = document.createElement('form');
      Object.assign(sent, { action: address, method: 'post', enctype: type, target: frame.name });
      for (const [name, value] of Object.entries(fields)) {
        sent.append(Object.assign(document.createElement('input'), { name, value }));
      }
      frame.onload = () => {
        try {
          const found = frame.contentWindow.document;
          if (found.location.href === 'about:blank') return;
          learn('form', address, found.contentType, found.body.textContent);
        } catch {}
        frame.remove();
        done();
      };
      document.body.append(sent);
      HTMLFormElement.prototype.submit.call(sent);
      sent.remove();
    });
  const one = async (address) => {
    const socket = address.replace(/^http/, 'ws');
    navigator.sendBeacon(address, json);
    navigator.sendBeacon(address, form());
    await Promise.all([
      asked('fetch', address, {}),
      asked('fetch with credentials', address, { credentials: 'include' }),
      ...['POST', 'PUT', 'PATCH', 'DELETE'].map((method) =>
        asked(method, address, {
          method, credentials: 'include', body: json, headers: { 'Content-Type': 'application/json' },
        })),
      ...[json, new URLSearchParams(fields), form(), new Blob([json])].map((body) =>
        asked('no-cors', address, { method: 'POST', mode: 'no-cors', credentials: 'include', body })),
      // A frame that shows nothing new is never loaded.
      ...[
        element('image', address, new Image()),
        element('script', address, document.createElement('script')),
        opened('socket', socket, new WebSocket(socket)),
        opened('events', address, new EventSource(address, { withCredentials: true })),
        ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'].map((type) =>
          posted(address, type)),
      ].map(late),
    ]);
  };
  for (let i = 0; i < addresses.length; i += 4) await Promise.all(addresses.slice(i, i + 4).map(one));
  return learned;
})
"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Foreign(BaseHTTPRequestHandler):
    """The foreign page, and below `/open` resources for any page: there each kind of attempt has to succeed."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body, type_ = PAGE, "text/html"
        if self.path.startswith("/open"):
            wanted = self.headers.get("Accept", "") + self.headers.get("Sec-Fetch-Dest", "")
            if "event-stream" in wanted:
                body, type_ = b"data: x\n\n", "text/event-stream"
            elif "image" in wanted and "iframe" not in wanted:
                body, type_ = _PICTURE, "image/svg+xml"
            elif "script" in wanted:
                body, type_ = b"1", "text/javascript"
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(body)))
        if self.path.startswith("/open") and (origin := self.headers.get("Origin")):
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Access-Control-Allow-Methods", "PUT, PATCH, DELETE")
            self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are not for the output of tests."""


@contextmanager
def foreign_page() -> Iterator[int]:
    """The port of this machine where somebody else's pages are served."""
    server = _Server((LOOPBACK, 0), _Foreign)
    with _running(server):
        yield server.server_address[1]


@contextmanager
def rebound(port: int) -> Iterator[str]:
    """The path of a page at `REBOUND` on this port. All else that is asked there arrives at this machine's own port.

    So it is behind a name that had another address when the page came: the browser takes both for one site.
    """
    path = "/foreign-page"

    class Relay(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                first = self.connection.recv(65_536)
                if first.split(b" ")[1:2] == [path.encode()]:
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n"
                    self.connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + PAGE)
                elif first:
                    with socket.create_connection((LOOPBACK, port)) as there:
                        there.sendall(first)
                        back = threading.Thread(target=_pass, args=(there, self.connection), daemon=True)
                        back.start()
                        _pass(self.connection, there)
                        back.join()

    class Server(ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 128

    with _running(Server((REBOUND, port), Relay)):
        yield path


@contextmanager
def _running(server: TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    """Passes bytes on until the source ends."""
    with suppress(OSError):
        while part := source.recv(65_536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
