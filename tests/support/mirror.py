"""A local mirror of datasets."""

import http.server
import threading
import time


class Mirror:
    """A local web server that serves a folder, with faults on request."""

    def __init__(self, folder):
        mirror = self
        self.fault = ""
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests += 1
                content = (folder / self.path.lstrip("/")).read_bytes()
                if mirror.fault == "missing":
                    self.send_error(404)
                    return
                if mirror.fault == "html":
                    content = b"<!DOCTYPE html><p>please sign in"
                if mirror.fault == "wrong":
                    content = content[:-1] + b"?"
                if mirror.fault == "stalled":
                    time.sleep(0.5)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if mirror.fault == "truncated" else content)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
