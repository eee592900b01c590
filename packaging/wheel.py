#!/usr/bin/env python3
"""Puts a wheel together from a compiled extension, without compiling anything.

wheel.py --tag cp313-cp313-manylinux_2_28_x86_64 --extension FILE --target TARGET --out FOLDER

The Python files and the metadata are those of bindings/python. With the same input the wheel is the same, byte for byte.
"""

import argparse
import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent
package = root / "bindings/python"


def metadata(folder: Path) -> Path:
    """The .dist-info folder as the build backend makes it (PEP 517), which compiles nothing."""
    from scikit_build_core.build import prepare_metadata_for_build_wheel

    os.chdir(package)
    return folder / prepare_metadata_for_build_wheel(str(folder))


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def collect(tag: str, extension: Path, target: str) -> tuple[str, dict[str, tuple[bytes, int]]]:
    files: dict[str, tuple[bytes, int]] = {}
    for path in sorted((package / "src/fanwire").rglob("*")):
        if path.suffix in {".py", ".pyi", ".typed"} or path.name == "py.typed":
            files[path.relative_to(package / "src").as_posix()] = (path.read_bytes(), 0o644)
    files[f"fanwire/{extension.name}"] = (extension.read_bytes(), 0o755)
    with tempfile.TemporaryDirectory() as scratch:
        info = metadata(Path(scratch))
        subprocess.run([sys.executable, root / "packaging/sbom.py", "fanwire", target, scratch], check=True)
        name = info.name
        files[f"{name}/METADATA"] = ((info / "METADATA").read_bytes(), 0o644)
        files[f"{name}/entry_points.txt"] = ((info / "entry_points.txt").read_bytes(), 0o644)
        files[f"{name}/licenses/LICENSE"] = ((root / "LICENSE").read_bytes(), 0o644)
        files[f"{name}/licenses/LICENSES.txt"] = ((Path(scratch) / "LICENSES.txt").read_bytes(), 0o644)
        files[f"{name}/sboms/fanwire.cdx.json"] = ((Path(scratch) / "sbom.cdx.json").read_bytes(), 0o644)
    wheel = f"Wheel-Version: 1.0\nGenerator: fanwire\nRoot-Is-Purelib: false\nTag: {tag}\n"
    files[f"{name}/WHEEL"] = (wheel.encode(), 0o644)
    rows = [f"{path},{digest(content)},{len(content)}" for path, (content, _) in files.items()]
    files[f"{name}/RECORD"] = ("\n".join([*rows, f"{name}/RECORD,,"]) + "\n").encode(), 0o644
    return name.removesuffix(".dist-info"), files


def write(path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--extension", required=True, type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    name, files = collect(arguments.tag, arguments.extension.resolve(), arguments.target)
    arguments.out.mkdir(parents=True, exist_ok=True)
    out = arguments.out.resolve() / f"{name}-{arguments.tag}.whl"
    write(out, files)
    print(out.name, out.stat().st_size)


main()
