"""A small web server on this machine, so that downloads are tested without a network."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
            return
        content, announced = answer
        self.send_response(200)
        if announced is not None:
            self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Keep the test output quiet."""


class WebServer:
    """Serves what `put` gave it, and counts who asked for what."""

    def __init__(self, server):
        self._server = server
        self.address = f"http://127.0.0.1:{server.server_port}"

    @property
    def requests(self):
        return self._server.requests

    def put(self, path, content, announced="the truth"):
        """Serve `content` at `path`, with its length in the header, a wrong one, or None; return the address."""
        self._server.answers[path] = (content, len(content) if announced == "the truth" else announced)
        return self.address + path


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.requests = {}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield WebServer(server)
    server.shutdown()
    thread.join()
    server.server_close()
