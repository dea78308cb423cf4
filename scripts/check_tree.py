#!/usr/bin/env python3
"""Checks that no tracked text file names a path of somebody's machine, or a host that is not known here.

A tree that names a private path works on one machine only, and a build that names a host may come to need it.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ("demo/", "tests/golden/", "tests/fuzz/corpus/", "LICENSE")
MACHINE_PATH = re.compile(r"(?<![\w.}\])])/(?:work|root|home|Users|mnt|scratch)/[\w.]")
URL = re.compile(r"https?://([A-Za-z0-9.-]+)")
KNOWN_HOSTS = {
    "127.0.0.1", "localhost", "0.0.0.0", "krait", "www.apache.org", "arxiv.org", "huggingface.co", "github.com", "git-lfs.github.com",
    "json-schema.org", "xgrammar.mlc.ai", "www.unicode.org", "unicode.org", "doi.org", "example.com",
}


def text_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and not name.startswith(DATA) and (ROOT / name).is_file()]


def problems_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        where = f"{path.relative_to(ROOT)}:{number}"
        if match := MACHINE_PATH.search(line):
            found.append(f"{where}: a path of one machine: {match.group(0)}...")
        found += [f"{where}: an unknown host: {host}" for host in URL.findall(line) if host not in KNOWN_HOSTS]
    return found


def main() -> int:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        print("no git checkout: nothing to check")
        return 0
    files = text_files()
    found = [problem for f in files for problem in problems_of(f)]
    print("\n".join(found) if found else f"{len(files)} files name no machine path and no unknown host")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
