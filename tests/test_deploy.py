"""The dashboard and the alerts of deploy/ speak of metrics and labels that a node has."""
import json
import re

import pytest
import yaml

from node import ROOT

PROJECT = """
CREATE STREAM clicks (id BIGINT, at_time TIMESTAMP, WATERMARK FOR at_time AS at_time - INTERVAL 1 SECOND);
CREATE TABLE people (id INTEGER PRIMARY KEY);
CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM clicks;
CREATE ENDPOINT total ON GET '/total' AS SELECT * FROM n;
"""
WORDS = {"sum", "by", "rate", "time", "topk", "deriv", "changes", "on", "and", "or", "le", "histogram_quantile"}
OF_PROMETHEUS = {"up": {"job", "instance"}}


@pytest.fixture
def metrics(make_node):
    """The labels of each metric."""
    node = make_node(PROJECT)
    node.start()
    node.send("clicks", ['{"id": 1, "at_time": "2026-01-01 10:00:00"}', '{"id": "x"}'], query="?wait=visible")
    node.get("/total")
    found = {}
    for line in node.request("GET", "/metrics")[2].decode().splitlines():
        match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? \S+", line)
        if match:
            found.setdefault(match[1], set()).update(re.findall(r'([a-z_]+)="', match[2] or ""))
    node.stop()
    return found


def expressions():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/millrace.rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning")
        yield rule["expr"]
    dashboard = json.loads((ROOT / "deploy/grafana/millrace.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_every_metric_and_label_is_there(metrics):
    seen = set()
    for expression in expressions():
        plain = re.sub(r'"[^"]*"', '""', expression)
        plain = re.sub(r"\[[^\]]*\]", "", plain)
        for name, labels in re.findall(r"\b([a-z_]+)\b(?:\{([^}]*)\})?", re.sub(r"\b(by|on) \([^)]*\)", "", plain)):
            if name in WORDS or re.search(r"\b" + name + r"\b[=!~]", plain):
                continue
            has = {**metrics, **OF_PROMETHEUS}.get(name)
            assert has is not None, (name, expression)
            for label in re.findall(r"([a-z_]+)\s*[=!]", labels):
                assert label in has | {"instance"}, (name, label, expression)
            seen.add(name)
        for labels in re.findall(r"\bby \(([^)]*)\)", plain):
            for label in re.split(r",\s*", labels):
                assert label in {"instance"} | set().union(*metrics.values()), (label, expression)
    assert len(seen) > 25, seen
    assert metrics["millrace_views"] == {"status"}
