#!/usr/bin/env python3
"""Checks that #include lines point down the link graph: server -> engine -> models -> kernels (docs/design.md, section 1)."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAY_INCLUDE = {
    "kernels": {"kernels"},
    "models": {"models", "kernels"},
    "engine": {"engine", "models", "kernels"},
    "server": {"server", "engine", "models", "kernels"},
}
# What a folder never knows, by the headers that would bring it in.
NEVER_KNOWS = {
    "kernels": ("nlohmann/", "boost/", "grpc", "google/protobuf", "krait/v1/", "yaml-cpp", "CLI/", "prometheus"),
    "models": ("boost/", "grpc", "google/protobuf", "krait/v1/", "yaml-cpp", "CLI/", "prometheus"),
    "engine": ("nlohmann/", "boost/", "grpc", "google/protobuf", "krait/v1/", "yaml-cpp", "CLI/", "prometheus"),
}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def problems_of(path: Path) -> list[str]:
    folder = path.relative_to(ROOT).parts[0]
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        where = f"{path.relative_to(ROOT)}:{number}: includes {header}"
        top = header.split("/")[0]
        if header.startswith("."):
            found.append(f"{where}: write the path from the repository's root")
        elif (ROOT / top).is_dir() and (ROOT / header).exists() and top not in MAY_INCLUDE[folder]:
            valid = ", ".join(sorted(MAY_INCLUDE[folder]))
            # The test shims of emulated instruction sets and of the emulated grid stand behind their own #ifdef.
            if not header.startswith((f"tests/{folder}/", "tests/emulation/")):
                found.append(f"{where}: {folder}/ may include only {valid}")
        elif header.startswith(NEVER_KNOWS.get(folder, ())):
            found.append(f"{where}: {folder}/ never knows this (docs/design.md, section 1)")
    return found


def main() -> int:
    files = [f for folder in MAY_INCLUDE for f in sorted((ROOT / folder).rglob("*")) if f.suffix in SUFFIXES]
    found = [problem for f in files for problem in problems_of(f)]
    print("\n".join(found) if found else f"{len(files)} files include only what is below them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
