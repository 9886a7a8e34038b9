#!/usr/bin/env python3
"""gcc_scan.py GCC FILE.c [GCC FLAGS]: compiles a file and looks in gcc's own dumps for two of its faults
(compilers/). A line a finding; exit status 1 if there is one.

  null-based stores   local-pure-const says that it saw one: the function may be taken for pure
  broadcast constant  a wide constant that is moved as a broadcast of its low part, and whose upper
                      part is something else"""
import glob
import os
import re
import subprocess
import sys
import tempfile

LANES = {"OI": 4, "XI": 8}  # 64-bit parts of a mode


def functions(text):
    """(name, body) of each function in a dump."""
    for part in re.split(r"(?m)^;; Function ", text)[1:]:
        yield part.split(None, 1)[0], part


def null_based(dump):
    for name, body in functions(dump):
        if "NULL memory access" in body:
            yield f"null-based store in {name}"


def broadcasts(dump):
    """Moves of a subreg of a register that was set by vec_duplicate, with their constants."""
    for name, body in functions(dump):
        insns = re.findall(r"(?ms)^\((?:insn|jump_insn|call_insn).*?(?=^\(|\Z)", body)
        duplicated = set()
        for insn in insns:
            duplicated.update(re.findall(r"\(set \(reg:V\w+ (\d+)[^)]*\)\s+\(vec_duplicate:", insn))
        for insn in insns:
            move = re.search(r"subreg:(OI|XI) \(reg:V\w+ (\d+)[^)]*\) 0\)", insn)
            value = re.search(r"const_wide_int (0x[0-9a-f]+)", insn)
            if not move or move.group(2) not in duplicated or not value:
                continue
            number = int(value.group(1), 16)
            if number.bit_length() <= 64 * (LANES[move.group(1)] - 1):
                yield f"broadcast constant {value.group(1)} in {name}"


def scan(command, source, flags):
    with tempfile.TemporaryDirectory() as work:
        dumps = [f"-fdump-{kind}={work}/{name}" for kind, name in (
            ("tree-local-pure-const1", "pure1"), ("tree-local-pure-const2", "pure2"),
            ("rtl-expand", "expand"), ("rtl-dse1-details", "dse1"))]
        result = subprocess.run([command, *flags, "-c", source, "-o", f"{work}/x.o", *dumps],
                                capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"gcc_scan: {source}: {result.stderr[:400]}")
        found = set()
        for path in glob.glob(f"{work}/*"):
            if path.endswith(".o"):
                continue
            with open(path, errors="replace") as file:
                text = file.read()
            pure = os.path.basename(path).startswith("pure")
            found.update(null_based(text) if pure else broadcasts(text))
        return sorted(found)


def main():
    command, source, *flags = sys.argv[1:]
    found = scan(command, source, flags)
    for line in found:
        print(f"{source}: {line}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
