"""All errors of an installed SkyPilot: its exceptions, and the texts that it raises during provisioning, with
`…` for variable parts.

    python skyTexts.py

One JSON object: {"exceptions": [...], "codes": [...], "raised": [[file, text], ...]}.
"""

import ast
import json
import pathlib
import re

import sky

ROOT = pathlib.Path(sky.__file__).parent
PLACES = ["provision", "backends/cloud_vm_ray_backend.py", "adaptors/slurm.py", "optimizer.py", "check.py"]
CODE = re.compile(r"^[A-Z][A-Z_]{7,}$|^[A-Za-z]*(?:Exceeded|Capacity|Exhausted|Unavailable|Denied|Expired|Failure|NotFound|Operation|Subscription)$")


def text_of(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else (left or "…") + (right or "…")
    return None


def files(place):
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main():
    raised, codes = set(), set()
    for path in (file for place in PLACES for file in files(place)):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                texts = [text_of(argument) for argument in node.exc.args]
                told = next((text for text in texts if text), None)
                if told is not None:
                    raised.add((name, " ".join(told.split())))
            if isinstance(node, ast.Compare):
                for constant in ast.walk(node):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and CODE.match(constant.value):
                        codes.add(constant.value)
    exceptions = [
        node.name for node in ast.parse((ROOT / "exceptions.py").read_text()).body if isinstance(node, ast.ClassDef)
    ]
    print(json.dumps({"exceptions": sorted(exceptions), "codes": sorted(codes), "raised": sorted(raised)}))


main()
