#!/usr/bin/env python3
"""Memory of a node that does nothing: empty, with topics that a Kafka client has just made, and after it was started again with them.

    bench/idle_topics.py [--topics N] [--settle S]     needs build/release/bin/millrace (make build) and tools/setup.sh --test
"""
import argparse
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import deps  # noqa: E402,F401: where the clients are
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from node import Node  # noqa: E402

AT_ONCE = 100


def show(what, node):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{node.process.pid}/status").read_text().splitlines())
    megabytes = {name: int(status[name].split()[0]) / 1000 for name in ("VmRSS", "RssAnon")}
    print(f"{what:34} {megabytes['VmRSS']:6.1f} MB, of which {megabytes['RssAnon']:5.1f} MB are no file's", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topics", type=int, default=1_000)
    parser.add_argument("--settle", type=float, default=20, help="seconds of doing nothing before each look")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder) / "project"
        project.mkdir()
        (project / "project.sql").write_text("CREATE STREAM first (a BIGINT);\n")
        node = Node(project, pathlib.Path(folder) / "data", "--pg", "off")
        node.start()
        time.sleep(arguments.settle)
        show("empty", node)
        admin = AdminClient({"bootstrap.servers": node.kafka})
        names = [f"topic{number}" for number in range(arguments.topics)]
        for first in range(0, len(names), AT_ONCE):
            for made in admin.create_topics([NewTopic(name, 1) for name in names[first:first + AT_ONCE]]).values():
                made.result()
        del admin
        time.sleep(arguments.settle)
        show(f"{arguments.topics} topics, just made", node)
        node.stop()
        node.start()
        time.sleep(arguments.settle)
        show(f"{arguments.topics} topics, started with them", node)
        node.stop()


main()
