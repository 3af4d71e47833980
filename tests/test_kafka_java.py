"""Apache Kafka's Java client, of two versions, against the Kafka listener: producers, groups, admin (tests/clients/KafkaClient.java)."""
import subprocess

import pytest

from conftest import DEPS
from node import ROOT
from test_kafka import SQL


@pytest.mark.parametrize("version", ["3.9.1", "4.1.1"])
def test_the_java_client_produces_consumes_in_groups_and_administers(make_node, version):
    node = make_node(SQL)
    node.start()
    for step in ["round-trip", "admin"]:
        done = subprocess.run(["java", "-Xmx256m", "-cp", f"{DEPS}/kafka-clients-{version}/*", ROOT / "tests" / "clients" / "KafkaClient.java", node.kafka, step],
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0 and done.stdout.strip() == "done", done.stdout + done.stderr
    products = {row[0]: row[1] for row in node.sql("SELECT product, clicks FROM by_product")}
    assert products == {codec: 1000 for codec in ["none", "gzip", "snappy", "lz4", "zstd"]}
    node.stop()
