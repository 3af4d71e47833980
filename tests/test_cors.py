"""Web pages of other origins (CORS): the setting, from its three places, and what a browser would be told."""
import pytest

from live_websocket import LiveWebSocket
from live import Refused
from node import Refused as RefusedRequest
from test_access import bearer, token, within_seconds
from test_live import SQL

APP, OTHER = "https://app.example", "https://other.example"


def answer(node, method, path, origin=None, **more):
    """(status, headers in lower case)."""
    headers = {**({"Origin": origin} if origin else {}), **{name.replace("_", "-"): value for name, value in more.items()}}
    try:
        status, headers, _ = node.request(method, path, headers=headers)
    except RefusedRequest as refused:
        return refused.status, {}
    return status, {name.lower(): value for name, value in headers.items()}


def test_a_page_of_an_allowed_origin_signs_in_and_reads_what_it_may(make_node):
    node = make_node(SQL, "--http-cors-origins", f"{APP},http://localhost:5173")
    node.start()
    reader = token(node, "read:all_balances")
    within_seconds(lambda: answer(node, "GET", "/balances")[0] == 401)
    # First the browser asks, without a token.
    status, headers = answer(node, "OPTIONS", "/balances", APP, Access_Control_Request_Method="GET", Access_Control_Request_Headers="authorization")
    assert status == 204 and headers["access-control-allow-origin"] == APP and headers["vary"] == "Origin"
    assert "GET" in headers["access-control-allow-methods"] and "Authorization" in headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in headers
    status, headers = answer(node, "GET", "/balances", APP, **bearer(reader))
    assert status == 200 and headers["access-control-allow-origin"] == APP
    assert {"ETag", "X-Data-Timestamp", "X-Millrace-Token"} <= set(headers["access-control-expose-headers"].split(", "))
    status, headers = answer(node, "GET", "/balances", OTHER, **bearer(reader))
    assert status == 200 and "access-control-allow-origin" not in headers and "Origin" in headers["vary"]
    assert answer(node, "OPTIONS", "/balances", OTHER, Access_Control_Request_Method="GET")[0] == 401
    LiveWebSocket(node.url, "/balances", origin=APP, additional_headers=bearer(reader)).close()
    with pytest.raises(Refused) as refused:
        LiveWebSocket(node.url, "/balances", origin=OTHER, additional_headers=bearer(reader))
    assert refused.value.status == 403
    node.stop()


def test_by_default_no_page_is_allowed(make_node):
    node = make_node(SQL)
    node.start()
    for method, more in [("GET", {}), ("OPTIONS", {"Access_Control_Request_Method": "GET"})]:
        status, headers = answer(node, method, "/balances", APP, **more)
        assert status in (200, 204) and not any(name.startswith("access-control") for name in headers)
    node.stop()


def test_the_setting_comes_from_the_file_and_what_is_no_origin_is_refused(make_node, tmp_path):
    project = tmp_path / "shop"
    project.mkdir()
    (project / "project.sql").write_text(SQL)
    (project / "millrace.toml").write_text('http_cors_origins = "*"\n')
    node = make_node(project)
    node.start()
    assert answer(node, "GET", "/balances", OTHER)[1]["access-control-allow-origin"] == "*"
    node.stop()
    (project / "millrace.toml").write_text('http_cors_origins = "https://app.example/"\n')
    with pytest.raises(AssertionError) as failed:
        node.start()
    assert "http_cors_origins" in str(failed.value) and "millrace.toml" in str(failed.value) and "is no origin" in str(failed.value)
