#!/usr/bin/env python3
"""Writes what a binary package says of its parts: an SBOM (CycloneDX 1.6, JSON) and the licences in one text.

sbom.py NAME TARGET FOLDER: into FOLDER/sbom.cdx.json and FOLDER/LICENSES.txt, from build/deps/deps.lock and the licence
texts of build/deps/TARGET. NAME is the package's.
"""

import json
import re
import sys
import uuid
from pathlib import Path

root = Path(__file__).resolve().parent.parent
suppliers = {
    "hiredis": ("BSD-3-Clause", "https://github.com/redis/hiredis"),
    "libevent": ("BSD-3-Clause", "https://libevent.org"),
    "openssl": ("Apache-2.0", "https://www.openssl.org"),
}


def project_version() -> str:
    found = re.search(r"project\(fanwire VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text())
    assert found
    return found[1]


def locked() -> list[tuple[str, str, str]]:
    rows = [line.split() for line in (root / "build/deps/deps.lock").read_text().splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3 and row[0] in suppliers]


def component(name: str, version: str, digest: str) -> dict[str, object]:
    upstream = version.rsplit("-", 1)[0]
    license_id, url = suppliers[name]
    return {
        "type": "library",
        "bom-ref": f"{name}@{upstream}",
        "name": name,
        "version": upstream,
        "licenses": [{"license": {"id": license_id}}],
        "purl": f"pkg:deb/debian/{name}@{version.replace('~', '%7E')}?arch=source",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "externalReferences": [{"type": "website", "url": url}],
    }


def sbom(name: str, target: str) -> dict[str, object]:
    version = project_version()
    components = [component(*row) for row in locked()]
    main = f"fanwire@{version}"
    # The same package gives the same text: its serial number is made from what it lists.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"fanwire:{name}:{target}:{version}:{json.dumps(components)}")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": main,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
                "properties": [{"name": "fanwire:target", "value": target}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": main, "dependsOn": [c["bom-ref"] for c in components]},
            *({"ref": c["bom-ref"], "dependsOn": []} for c in components),
        ],
    }


def licenses(target: str) -> str:
    parts = [("fanwire", root / "LICENSE")]
    parts += [(name, root / "build/deps" / target / "licenses" / name) for name, *_ in locked()]
    rule = "=" * 78
    texts = [f"{rule}\n{name}\n{rule}\n\n{path.read_text(errors='replace').strip()}\n" for name, path in parts]
    return "This binary holds fanwire and these libraries, each under its own licence.\n\n" + "\n\n".join(texts)


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    name, target, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    (folder / "sbom.cdx.json").write_text(json.dumps(sbom(name, target), indent=2) + "\n")
    (folder / "LICENSES.txt").write_text(licenses(target))


main()
