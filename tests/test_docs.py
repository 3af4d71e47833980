"""Runs what the documentation shows: the README's tour, and the SQL of docs/sql.md in order on one node."""
import os
import re
import shutil
import subprocess
import time

import pytest

from node import BINARY, ROOT, SHOP, Refused


def indented_commands(text):
    """Commands of the README's indented blocks, continued lines joined."""
    for block in re.findall(r"(?:^    .*\n)+", text, re.M):
        joined = re.sub(r"\\\n\s*", "", re.sub(r"^    ", "", block, flags=re.M))
        yield from (line for line in joined.splitlines() if line.strip())


def test_the_readmes_tour(make_node):
    node = make_node(SHOP)
    node.start()
    tour = (ROOT / "README.md").read_text().split("## A first tour")[1].split("##")[0]
    ran = 0
    for command in indented_commands(tour):
        if " run " in command:
            continue  # that is the node above
        command = command.replace("http://127.0.0.1:8080", node.url).replace("127.0.0.1:9092", node.kafka).replace("-p 5432", f"-p {node.pg.split(':')[1]}").replace("build/release/bin/millrace", str(BINARY))
        if " plan " in command:
            command += f" --data {node.data}"
        done = subprocess.run(["bash", "-ec", command.replace("curl ", "curl -sS --fail-with-body ")], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "MILLRACE_URL": node.url}, timeout=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert done.stdout.strip() not in ("", "[]"), command
        ran += 1
    assert ran >= 6
    assert node.difference("revenue_by_day") == 0
    node.stop()


@pytest.mark.skipif(not (ROOT / "docs" / "sql.md").exists(), reason="docs/sql.md is not written yet")
def test_the_sql_of_the_manual(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    text = (ROOT / "docs" / "sql.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        try:
            node.sql(block)
        except Refused as error:
            pytest.fail(f"{block}\n{error}")
    node.stop()


def test_the_statements_and_commands_of_the_page_on_models(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    shutil.copytree(ROOT / "examples" / "churn" / "models", node.project + "/models")
    node.start()
    text = (ROOT / "docs" / "models.md").read_text()
    statements, commands = re.findall(r"```sql\n(.*?)```", text, re.S), re.findall(r"```sh\n(.*?)```", text, re.S)
    assert statements and commands
    for block in statements:
        try:
            node.sql(block)
        except Refused as error:
            pytest.fail(f"{block}\n{error}")
    for block in commands:
        done = subprocess.run(["bash", "-ec", block.replace("curl ", "curl -S --fail-with-body ")], capture_output=True, text=True,
                              env={**os.environ, "MILLRACE_URL": node.url}, timeout=60)
        assert done.returncode == 0 and '"outputs"' in done.stdout, (block, done.stdout, done.stderr)
    node.stop()


def test_the_commands_of_the_http_manual(make_node):
    node = make_node(SHOP)
    node.start()
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "http.md").read_text(), re.S)
    assert len(blocks) >= 8
    for block in blocks:
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", block.replace("curl ", "curl -S --fail-with-body ")], cwd=ROOT, capture_output=True,
                              text=True, env={**os.environ, "MILLRACE_URL": node.url}, timeout=120)
        # head closes the pipe on zstd, which is none of ours.
        assert done.returncode in (0, 141), (block, done.stdout, done.stderr)
        assert '{"error"' not in done.stdout, (block, done.stdout)
    node.stop()


def test_the_commands_of_the_postgres_manual(make_node):
    node = make_node(SHOP)
    node.start()
    host, port = node.pg.split(":")
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "postgres.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        done = subprocess.run(["bash", "-ec", block.replace("-p 5432", f"-p {port}")], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and not done.stderr and "revenue_by_day" in done.stdout, (block, done.stdout, done.stderr)
    node.stop()


def test_the_commands_of_the_kafka_manual(make_node):
    node = make_node(SHOP)
    node.start()
    manual = (ROOT / "docs" / "kafka.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", manual, re.S)
    statements = re.findall(r"```sql\n(.*?)```", manual, re.S)
    assert blocks and statements
    for text in statements:
        node.sql(text)
    produced = subprocess.run(["kcat", "-b", node.kafka, "-P", "-t", "my.events"], input='{"kind": "click"}\n', capture_output=True, text=True, timeout=60)
    assert produced.returncode == 0, produced.stderr
    deadline = time.monotonic() + 30
    while node.sql("SELECT kind, events FROM by_kind") != [["click", 1]]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    shown = ""
    for block in blocks:
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", block.replace("127.0.0.1:9092", node.kafka).replace("-p 5432", f"-p {node.pg.split(':')[1]}")], cwd=ROOT, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        shown += done.stdout
    assert 'topic "order_lines" with 4 partitions' in shown and '"invoice": "900002"' in shown
    assert re.search(r"^kcat .* -t ratings .*# (.*)$", manual, re.M).group(1) in shown
    node.stop()


def test_the_test_files_that_the_documentation_names_exist():
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "src").glob("*/README.md")]
    named = 0
    for page in pages:
        for name in re.findall(r"`((?:[a-z_]+/)*(?:test_[a-z_]+\.py|[a-z_]+_test\.cc))`", page.read_text()):
            places = [ROOT / name, page.parent / name, *ROOT.glob(f"src/*/{name}")]
            assert any(place.exists() for place in places), f"{page.relative_to(ROOT)} names {name}"
            named += 1
    assert named >= 10


def test_the_backup_of_the_operations_manual(make_node, tmp_path):
    node = make_node(SHOP)
    node.start()
    block = next(block for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.S) if "millrace backup" in block)
    commands = block.replace("millrace ", f"{BINARY} ").replace("/backups/shop", str(tmp_path / "backups")).replace("/var/lib/shop", str(tmp_path / "restored"))
    done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, env={**os.environ, "MILLRACE_URL": node.url}, timeout=120)
    assert done.returncode == 0, (commands, done.stdout, done.stderr)
    assert "backup " in done.stdout and "restored " in done.stdout and "sound" in done.stdout
    node.stop()
