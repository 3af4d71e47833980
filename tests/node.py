"""A millrace process for tests: on a free port of 127.0.0.1, with a data directory of its own."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("MILLRACE_BINARY", ROOT / "build" / "release" / "bin" / "millrace"))
SHOP = ROOT / "examples" / "shop"


class Refused(Exception):
    """An answer whose status is not 2xx."""

    def __init__(self, status, body, headers=()):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers)


def millrace(*arguments, stdin="", env=None, cwd=None, timeout=120):
    """Runs a command to its end; whatever its exit status."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, timeout=timeout, cwd=cwd,
                          env={**clean, **(env or {})}, **({"input": stdin} if isinstance(stdin, bytes) else
                                                           {"input": stdin, "text": True}))


class Node:
    def __init__(self, project, data, *flags):
        self.project, self.data, self.flags = str(project), str(data), flags
        self.process = None
        self.url = None
        self.kafka = None  # "127.0.0.1:1234"
        self.pg = None  # the same
        self.tls = None  # the ssl.SSLContext of requests, where HTTP is under TLS

    def start(self, seconds=60):
        """Starts the process and waits until it is ready. Returns how long that took."""
        begin = time.monotonic()
        self.process = subprocess.Popen([str(BINARY), "run", self.project, "--data", self.data,
                                         *([] if "--http" in self.flags else ["--http", "127.0.0.1:0"]),
                                         *([] if "--kafka" in self.flags else ["--kafka", "127.0.0.1:0"]),
                                         *([] if "--pg" in self.flags else ["--pg", "127.0.0.1:0"]), *self.flags],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.stderr = []
        ready = threading.Event()
        lines = []  # that say so; addresses may be those of an earlier process, which others still call

        def read():
            for line in self.process.stderr:
                self.stderr.append(line)
                if line.startswith("ready"):
                    lines.append(line)
                    scheme = "https" if "http" in line.partition("tls=")[2] else "http"
                    self.url = f"{scheme}://" + line.split("http=")[1].split()[0]
                    if "kafka=" in line:
                        self.kafka = line.split("kafka=")[1].split()[0]
                    if "pg=" in line:
                        self.pg = line.split("pg=")[1].split()[0]
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        assert ready.wait(seconds), "not ready in time:\n" + "".join(self.stderr)
        assert lines and self.process.poll() is None, "did not start:\n" + "".join(self.stderr)
        return time.monotonic() - begin

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, "".join(self.stderr)

    def memory_kib(self, field="VmRSS"):
        """What the process takes; VmHWM: what it took at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+) kB", status)[1])

    def cli(self, command, *arguments, **kwargs):
        """A command that talks to this node."""
        return millrace(command, *arguments, "--url", self.url, **kwargs)

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, body). Raises Refused for 4xx and 5xx, OSError where nobody answers."""
        request = urllib.request.Request(self.url + path, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return 304, dict(error.headers), b""
            raise Refused(error.code, error.read().decode(), error.headers) from None

    def get(self, path, **kwargs):
        return json.loads(self.request("GET", path, **kwargs)[2])

    def sql(self, text, timeout=120):
        """The rows of a statement."""
        body = self.request("POST", f"/v1/sql?timeout={timeout}s", text.encode(), {"Content-Type": "application/sql"}, timeout + 10)[2]
        return json.loads(body).get("rows", [])

    def send(self, stream, lines, key=None, content_type="application/x-ndjson", query=""):
        headers = {"Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        return json.loads(self.request("POST", f"/v1/streams/{stream}{query}", "\n".join(lines).encode() + b"\n", headers)[2])

    def books(self, stream):
        """The counters of `log → stream`."""
        return {line["counter"]: line["value"] for line in self.get("/v1/ledger")["lines"] if line["edge"] == f"log → {stream}"}

    def wait_for_records(self, stream, count, seconds=120):
        deadline = time.monotonic() + seconds
        while self.books(stream).get("records", 0) < count:
            assert time.monotonic() < deadline, f"{self.books(stream)} after {seconds} s, {count} records are expected"
            time.sleep(0.02)

    def wait_for_flush(self):
        """Until what is visible is in the state on disk, which is flushed about once a second."""
        flushes = self.metric("millrace_state_flushes_total")
        deadline = time.monotonic() + 3
        # One may have been under way: the second is sure to have it. Where nothing is left to flush there is none.
        while self.metric("millrace_state_flushes_total") < flushes + 2 and time.monotonic() < deadline:
            time.sleep(0.05)

    def metric(self, name):
        for line in self.request("GET", "/metrics")[2].decode().splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        raise KeyError(name)

    def difference(self, view):
        """How many rows of the view differ from DuckDB's answer to its query over the stored rows."""
        query = self.sql(f"SELECT query FROM millrace.views WHERE name = '{view}'")[0][0]
        return self.sql(f"SELECT (SELECT count(*) FROM (FROM {view} EXCEPT ALL ({query}))) + "
                        f"(SELECT count(*) FROM (({query}) EXCEPT ALL FROM {view}))")[0][0]


@contextlib.contextmanager
def serving(node):
    """Started, and no longer running at the end, however that comes: what it writes to may go then."""
    try:
        node.start()
        yield node
        node.stop()
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()


@contextlib.contextmanager
def running(sql, *flags):
    """A node of this project, in a temporary folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder) / "project"
        project.mkdir()
        (project / "a.sql").write_text(sql)
        with serving(Node(project, pathlib.Path(folder) / "data", *flags)) as node:
            yield node
