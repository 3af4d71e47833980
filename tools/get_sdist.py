#!/usr/bin/env python3
"""Gets the source package of a Python project, held to its digest. pip's own `download` would first run the package's build to learn its
metadata, which takes a minute for one with compiled parts.

    tools/get_sdist.py NAME VERSION SHA256 FILE
"""
import hashlib
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request


def index():
    """The package index that pip is set to."""
    set_to = os.environ.get("PIP_INDEX_URL") or subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"],
                                                               capture_output=True, text=True).stdout.strip()
    return (set_to or "https://pypi.org/simple").rstrip("/")


def get(url):
    request = urllib.request.Request(url, headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def main():
    name, version, digest, file = sys.argv[1:]
    page = f"{index()}/{name}/"
    package = f"{name}-{version}.tar.gz"
    link = re.search(rf'href="([^"]*/{re.escape(package)}[^"]*)"', get(page).decode())
    if not link:
        sys.exit(f"get_sdist: the package index has no {package}")
    content = get(urllib.parse.urljoin(page, link.group(1).replace("&amp;", "&")))
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"get_sdist: {package} is not what it should be: its SHA-256 is not {digest}")
    with open(file, "wb") as out:
        out.write(content)


main()
