#!/usr/bin/env python3
"""Prints random doc comments, each with the signature of its item, and nothing else.

    doc_sample.py SEED [COUNT]

A reader who has not seen the code judges whether each comment can be understood. Fields and
variants are shown with the type that they belong to. The same seed and tree give the same sample.
"""

import pathlib
import random
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CRATES = ["user-proto", "user-server", "user-cli", "user-http"]
TYPE = re.compile(r"^\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|impl)\b.*")


def items(path):
    """Yields the comment, the enclosing type and the signature of each item with a doc comment."""
    lines = path.read_text().split("\n")
    enclosing, at = "", 0
    while at < len(lines):
        line = lines[at]
        if TYPE.match(line) and line.rstrip().endswith("{"):
            enclosing = line.strip().rstrip("{").strip()
        if not line.lstrip().startswith("///"):
            at += 1
            continue
        comment = []
        while at < len(lines) and lines[at].lstrip().startswith("///"):
            comment.append(lines[at].lstrip()[3:].strip())
            at += 1
        while at < len(lines) and lines[at].lstrip().startswith("#["):
            at += 1
        signature = []
        while at < len(lines) and len(signature) < 8:
            signature.append(lines[at].strip())
            if re.search(r"[{;,]$", signature[-1]) and not re.search(r"\($", signature[0]):
                break
            if signature[-1].startswith(")"):
                break
            at += 1
        indented = lines[at].startswith(" ") if at < len(lines) else False
        text = " ".join(signature).rstrip("{,; ")
        if text and "$" not in text and "macro_rules" not in text:
            yield " ".join(comment), enclosing if indented else "", text


def main():
    seed, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50
    found = []
    for crate in CRATES:
        for path in sorted((ROOT / crate / "src").rglob("*.rs")):
            found.extend(items(path))
    for number, (comment, enclosing, signature) in enumerate(
        random.Random(seed).sample(found, count), 1
    ):
        print(f"{number}. {comment}")
        if enclosing and not signature.startswith(("fn", "pub fn", "async", "pub async")):
            print(f"   in: {enclosing}")
        print(f"   {signature}\n")


main()
