import os
import random
import shutil

import pytest

import deps  # noqa: F401: the clients that are installed
from node import Node

# What else the disk holds is not what is tested; a test that fills one mounts its own.
os.environ.setdefault("MILLRACE_DISK_RESERVE", "64MiB")


@pytest.fixture
def seed():
    value = int(os.environ.get("MILLRACE_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MILLRACE_SEED={value}")
    return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A temporary folder for all tests of a file."""
    folder = tmp_path_factory.mktemp("module")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_node(tmp_path):
    nodes = []

    def make(sql_or_project, *flags, data=None):
        project = sql_or_project
        if isinstance(sql_or_project, str):
            project = tmp_path / f"project{len(nodes)}"
            project.mkdir()
            (project / "project.sql").write_text(sql_or_project)
        node = Node(project, data or tmp_path / f"data{len(nodes)}", *flags)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            node.kill()


@pytest.fixture
def node(make_node, request):
    """A running node with the module's PROJECT."""
    node = make_node(request.module.PROJECT)
    node.start()
    yield node
    node.stop()
