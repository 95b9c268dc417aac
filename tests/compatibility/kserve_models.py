"""Compares `deployments manifest --kind kserve` with the types that KServe publishes, in an environment with its SDK.

`python tests/compatibility/kserve_models.py` prints the mismatches, and ends with 1 if there are any. The SDK needs
older packages than the platform, so it has an environment of its own in `.compatibility/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compatibility.generations import Generation
from registry_tui.wording.kubernetes import Wanted
from support.manifests import made

SDK = Generation("kserve", ("kserve==0.21.0",))

#: Walks a document by the generated classes: their names of fields, and the types of those.
WALK = """
import json, re, sys
import kserve.models as own
import kubernetes.client as cluster

def walk(value, kind, where):
    inner = re.fullmatch(r"(?:list\\[(.*)\\]|dict\\(str, (.*)\\))", kind)
    if inner:
        if not isinstance(value, list if inner[1] else dict):
            return [f"{where}: no {kind}"]
        pairs = enumerate(value) if inner[1] else value.items()
        return [said for key, each in pairs for said in walk(each, inner[1] or inner[2], f"{where}.{key}")]
    plain = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}
    if kind in plain:
        return [] if isinstance(value, plain[kind]) else [f"{where}: {value!r} is no {kind}"]
    model = getattr(own, kind, None)
    if hasattr(model, "openapi_types"):
        names = {name: field for field, name in model.attribute_map.items()}
        said = [f"{where}: there is no {key}" for key in value if key not in names]
        return said + [
            each for key in value if key in names
            for each in walk(value[key], model.openapi_types[names[key]], f"{where}.{key}")
        ]
    model = getattr(cluster, kind)
    back = cluster.ApiClient().sanitize_for_serialization(model.from_dict(value))
    return [] if back == value else [f"{where}: {value!r} is read as {back!r}"]

said = walk(json.load(sys.stdin), "V1beta1InferenceService", "")
for each in said:
    print(each)
sys.exit(bool(said))
"""


def main() -> int:
    SDK.prepare()
    codes = []
    for wanted in (Wanted(), Wanted(namespace="ml", storage_uri="gs://copy/wine", most_replicas=7)):
        for name in ("wine-api", "7-days"):
            (document,) = made(wanted, name).documents
            done = subprocess.run([str(SDK.python), "-c", WALK], input=json.dumps(document), text=True, check=False)
            codes.append(done.returncode)
    print(f"{codes.count(0)} of {len(codes)} manifests fit KServe's types")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
