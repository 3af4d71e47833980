"""A disk with less free than the reserve: nothing is taken, all that is there is served, and it heals by itself."""
import json
import time

import pytest

from node import Node, Refused, serving
from small_disk import small_disk

PROJECT = """
CREATE STREAM clicks (page INTEGER);
CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM clicks GROUP BY page;
"""
ROW = '{"page": 1}'


@pytest.fixture
def make(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.sql").write_text(PROJECT)
    with small_disk(tmp_path / "disk", "300m") as disk:
        yield lambda reserve: Node(tmp_path / "project", disk / "data", "--disk-reserve", reserve)


def test_a_small_disk_is_refused_by_default_and_taken_with_a_lower_reserve(make):
    with serving(make("auto")) as node:
        with pytest.raises(Refused) as refused:
            node.send("clicks", [ROW])
        assert refused.value.status == 429 and "less than 1024 MiB" in str(refused.value) and "disk_reserve" in str(refused.value)
        assert node.sql("SELECT count(*) FROM clicks") == [[0]]
    for reserve in "64MiB", "off":
        with serving(make(reserve)) as node:
            before = node.sql("SELECT count(*) FROM clicks")[0][0]
            assert node.send("clicks", [ROW], query="?wait=visible")["visible"]
            assert node.sql("SELECT n FROM pages") == [[before + 1]]


def test_what_filled_the_disk_goes_and_records_are_taken_again(make, tmp_path):
    with serving(make("100MiB")) as node:
        assert node.send("clicks", [ROW], query="?wait=visible")["visible"]
        other = tmp_path / "disk" / "other"
        other.write_bytes(bytes(230 << 20))
        deadline = time.monotonic() + 20
        while True:  # how much is free is looked at now and then
            try:
                node.send("clicks", [ROW])
            except Refused as refused:
                assert refused.status == 429 and float(refused.headers["Retry-After"]) > 0
                break
            assert time.monotonic() < deadline, "the disk is below its reserve"
            time.sleep(0.1)
        taken = node.sql("SELECT count(*) FROM clicks")[0][0]
        assert node.sql("SELECT n FROM pages") == [[taken]]
        other.unlink()
        while True:
            try:
                assert node.send("clicks", [ROW], query="?wait=visible")["visible"]
                break
            except Refused as refused:
                assert refused.status == 429 and time.monotonic() < deadline
            time.sleep(0.1)
        assert node.sql("SELECT n FROM pages") == [[taken + 1]]


@pytest.mark.parametrize("filler", [0, 1000])
def test_without_a_reserve_a_full_disk_costs_no_row_that_was_accepted(make, tmp_path, filler):
    """Appends are refused; where the state finds no room either, the node ends and says so, and the next start goes on."""
    lines = [json.dumps({"page": i, "filler": "x" * filler}) for i in range(1000)]
    other = tmp_path / "disk" / "other"
    accepted = unknown = 0
    deadline = time.monotonic() + 60

    def takes_rows(query=""):
        nonlocal accepted, unknown
        assert time.monotonic() < deadline
        try:
            accepted += node.send("clicks", lines, query=query)["accepted"]
            return True
        except Refused as refused:
            assert "no space left" in str(refused).lower() or refused.status == 503, refused
            accepted += json.loads(refused.body).get("accepted", 0)
        except OSError:  # the node has ended
            unknown += len(lines)
        return False

    with serving(make("off")) as node:
        with open(other, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1 << 16))
        while takes_rows():  # the write-ahead file has some room yet
            pass
        other.unlink()
        while not takes_rows("?wait=visible"):
            time.sleep(0.1)
            if node.process.poll() is not None:
                assert node.process.returncode == 1 and "No space left on device" in "".join(node.stderr)
                node.start()
        found = node.sql("SELECT count(*) FROM clicks")[0][0]
        assert accepted <= found <= accepted + unknown
        assert node.sql("SELECT sum(n)::BIGINT FROM pages") == [[found]]
