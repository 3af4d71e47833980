"""Live endpoints and the docs page in a real browser, headless Chromium: EventSource and WebSocket of a page of another origin, over a kill of the
node. For `make test-all`: it is large."""
import http.server
import json
import shutil
import sys
import threading

import pytest

from heavy import installed
from test_live import SQL

# What the endpoint's rows add up to, by both ways.
PAGE = """<!doctype html><title>page</title><script>
const url = new URLSearchParams(location.search).get("node");
window.sse = {rows: null, events: 0, errors: 0, reopened: 0};
window.ws = {rows: null, events: 0, closed: 0};
function apply(state, name, data) {
  ++state.events;
  if (name == "snapshot") state.rows = new Map(data.map(row => [row.account, row.balance]));
  if (name == "change") {
    for (const row of data.removed) state.rows.delete(row.account);
    for (const row of data.added) state.rows.set(row.account, row.balance);
  }
}
const source = new EventSource(url + "/balances");
source.onopen = () => ++sse.reopened;
source.onerror = () => ++sse.errors;
for (const name of ["snapshot", "change"]) source.addEventListener(name, event => apply(sse, name, JSON.parse(event.data)));
const socket = new WebSocket(url.replace("http", "ws") + "/balances");
socket.onclose = () => ++ws.closed;
socket.onmessage = message => { const {event, data} = JSON.parse(message.data); apply(ws, event, data); };
window.shown = state => state.rows && [...state.rows].sort((a, b) => a[0] - b[0]);
</script>"""


@pytest.fixture(scope="module")
def browser():
    folder = installed("playwright-1.65.2", ["playwright==1.65.2"])
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium: tools/setup.sh --test-all installs it")
    site, = (folder / "lib").glob("python3.*/site-packages")
    sys.path.append(str(site))
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def origin():
    """A web server with the page, at an origin of its own."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def move(node, first, count):
    node.send("moves", [json.dumps({"id": i, "source": i % 7, "target": i % 5, "amount": i}) for i in range(first, first + count)], query="?wait=visible")


def balances(node):
    return [list(row) for row in node.sql("SELECT account, balance FROM balances ORDER BY account")]


def test_a_page_follows_an_endpoint_over_a_kill(make_node, browser, origin):
    node = make_node(SQL, "--http-cors-origins", origin)
    node.start()
    move(node, 0, 100)
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{origin}/?node={node.url}")
    for round in range(5):
        expected = json.dumps(balances(node))
        for way in "sse", "ws":
            page.wait_for_function(f"JSON.stringify(shown({way})) == JSON.stringify({expected})", timeout=20_000)
        move(node, 1_000 * (round + 1), 200)
    assert page.evaluate("sse.events") > 4 and page.evaluate("ws.events") > 4
    node.kill()
    node.flags += ("--http", node.url.partition("//")[2])  # where the page looks for it
    node.start()
    move(node, 100_000, 50)
    # EventSource comes back by itself, with the id of the last event that it had.
    page.wait_for_function(f"JSON.stringify(shown(sse)) == JSON.stringify({json.dumps(balances(node))})", timeout=30_000)
    assert page.evaluate("sse.reopened") == 2 and page.evaluate("ws.closed") == 1
    assert problems == []
    page.close()
    node.stop()


def test_a_page_of_another_origin_gets_nothing(make_node, browser, origin):
    node = make_node(SQL, "--http-cors-origins", "https://app.example")
    node.start()
    move(node, 0, 10)
    page = browser.new_page()
    page.goto(f"{origin}/?node={node.url}")
    page.wait_for_function("sse.errors > 0 && ws.closed > 0", timeout=20_000)
    assert page.evaluate("sse.events + ws.events") == 0
    page.close()
    node.stop()


def test_the_docs_page_is_whole_without_the_internet(make_node, browser):
    node = make_node(SQL)
    node.start()
    page = browser.new_page()
    problems, asked = [], set()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.add(request.url.split("/")[2]))
    page.goto(f"{node.url}/docs")
    page.wait_for_function("document.body.innerText.includes('/balances/{account}')", timeout=20_000)
    assert problems == [] and asked == {node.url.split("/")[2]}
    page.close()
    node.stop()
