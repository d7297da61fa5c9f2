"""The tree of errors at the top of `dicom_node/errors.py` is the tree of the classes."""

from __future__ import annotations

import re

from dicom_node import errors


def test_the_tree_in_the_docstring_is_the_class_tree() -> None:
    """Every error is drawn once, below the class it derives from."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ((?:│ |  )*)(?:[├└] )?(\w+)", line):
            depth = 0 if found[2] == "NodeError" else len(found[1]) // 2 + 1
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    defined = {
        name: value.__base__.__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__base__ is not None
    }
    assert drawn == defined


def test_the_ports_export_every_port() -> None:
    """`dicom_node.ports.__all__` lists the protocols and the clock, and nothing else."""
    from dicom_node import ports

    protocols = {
        name
        for name, value in vars(ports).items()
        if isinstance(value, type) and getattr(value, "_is_protocol", False) and name != "Protocol"
    }
    assert set(ports.__all__) == protocols | {"Clock"}
