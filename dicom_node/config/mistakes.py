"""Describe mistakes in a configuration: place, key, fault and a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from dicom_node.config import destinations

Key: TypeAlias = tuple[str | int, ...]

# pydantic's type of a mistake -> our words; {} are the values of its context.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such key",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it into quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "has a character that is not allowed (pattern {pattern})",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
    "literal_error": "must be one of {expected}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}


def sentence(mistake: Mapping[str, Any], config: type[BaseModel], places: Mapping[Key, str]) -> str:
    """One mistake as ``line 3: node.prot: there is no such key; did you mean port?``.

    Parameters
    ----------
    mistake
        One of pydantic's `ValidationError.errors`.
    config
        The model that was validated, for the names of its keys.
    places
        Where values were given, by their key: ``line 3``, or the name of a variable.
    """
    key = _without_tags(mistake["loc"])
    name = ".".join(map(str, key)) or "configuration"
    words = _words(mistake) + _did_you_mean(mistake, key, config)
    place = _place(key, places)
    return f"{place}: {name}: {words}" if place else f"{name}: {words}"


def _words(mistake: Mapping[str, Any]) -> str:
    template = _WORDS.get(mistake["type"])
    if template is None:
        return str(mistake["msg"]).removeprefix("Value error, ")
    return template.format(**mistake.get("ctx", {}))


def _did_you_mean(mistake: Mapping[str, Any], key: Key, config: type[BaseModel]) -> str:
    """The closest name; empty if nothing is close."""
    given = mistake["input"] if mistake["type"] == "literal_error" else key[-1] if key else ""
    if mistake["type"] == "literal_error":
        choices = mistake["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    elif mistake["type"] == "extra_forbidden":
        choices = _keys(mistake, key, config)
    else:
        return ""
    close = difflib.get_close_matches(str(given).lower(), choices, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(mistake: Mapping[str, Any], key: Key, config: type[BaseModel]) -> list[str]:
    """The keys that stand beside the unknown one."""
    if key[0] == "destinations":
        tags = set(map(str, mistake["loc"]))
        return [
            name
            for tag, kind in destinations.KINDS.items()
            if tag in tags
            for name in kind.model_fields
        ]
    model: Any = config
    for part in (part for part in key[:-1] if isinstance(part, str)):
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        model = _model_in(annotation)
        if model is None:
            return []
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation names, also inside a list or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in getattr(annotation, "__args__", ()))
    return next(filter(None, inner), None)


def _without_tags(loc: Key) -> Key:
    """Without the kind of a destination, which pydantic puts into the path of a mistake."""
    return tuple(
        part
        for at, part in enumerate(loc)
        if not (part in destinations.KINDS and at == 2 and loc[0] == "destinations")
    )


def _place(key: Key, places: Mapping[Key, str]) -> str:
    """Where the key was given, or else what holds it."""
    for length in range(len(key), 0, -1):
        if key[:length] in places:
            return places[key[:length]]
    return ""
