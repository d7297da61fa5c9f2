"""Read config.yaml and the environment, which overrides it.

All mistakes are reported at once, each with its line in the file or the name of its variable.
``DICOM_NODE__NODE__PORT=11113`` overrides ``node.port``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dicom_node.config.mistakes import Key, sentence
from dicom_node.config.root import Config
from dicom_node.errors import ConfigError

PREFIX = "DICOM_NODE__"  # of the variables that override a key
_MAX_BYTES = 2**19
_MAX_KEYS = 20_000  # with what aliases repeat: a few lines of them can stand for billions
#: Written in C where PyYAML has it: a tenth of the time.
_QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: What PyYAML raises, besides its own error, for a value that is not of its type: ``2026-99-99``.
_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file; None means the defaults. The environment overrides both.

    Raises
    ------
    ConfigError
        The file cannot be read, or has mistakes; the message lists all of them.
    """
    values, places, mistakes = _read(path)
    mistakes += _override(values, places, environment)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        mistakes += [sentence(each, Config, places) for each in error.errors()]
    else:
        if not mistakes:
            return config
    raise ConfigError(f"{path or 'configuration'}:\n  " + "\n  ".join(dict.fromkeys(mistakes)))


def _read(path: Path | None) -> tuple[dict[str, Any], dict[Key, str], list[str]]:
    """The values of the file, the line of each key, and keys that are given twice."""
    if path is None:
        return {}, {}, []
    try:
        values, lines = _parsed(_text(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except _NOT_YAML as error:
        raise ConfigError(f"{path}: a value or the nesting cannot be read: {error}") from error
    if values is None:
        return {}, {}, []
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: the top level must be a mapping of sections")
    # A section that is empty, or whose keys are all comments, has its defaults.
    values = {str(section): keys for section, keys in values.items() if keys is not None}
    places: dict[Key, str] = {}
    twice = []
    for key, line in lines:
        if key in places:
            twice.append(f"line {line}: {'.'.join(map(str, key))}: is given twice")
        places[key] = f"line {line}"
    return values, places, twice


def _parsed(text: str) -> tuple[Any, list[tuple[Key, int]]]:
    """The values, and the line of each key; raises ValueError for too many of them."""
    try:
        return _parsed_by(_QUICK(text))
    except yaml.YAMLError:
        return _parsed_by(yaml.SafeLoader(text))  # whose message quotes the line


def _parsed_by(loader: yaml.SafeLoader) -> tuple[Any, list[tuple[Key, int]]]:
    node = loader.get_single_node()
    lines = list(islice(_lines(node, ()), _MAX_KEYS + 1))
    if len(lines) > _MAX_KEYS:
        raise ValueError(f"more than {_MAX_KEYS} keys")
    return (loader.construct_document(node) if node else None), lines


def _text(path: Path) -> str:
    """The text of the file; reading a pipe would wait, reading a device would not end."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is not a regular file")
    with path.open(encoding="utf-8") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {_MAX_BYTES >> 10} KiB")
    return text


def _lines(node: yaml.Node | None, key: Key) -> Iterator[tuple[Key, int]]:
    """Every key below a node with the number of its line."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            below = (*key, str(name.value))
            yield below, name.start_mark.line + 1
            yield from _lines(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*key, number), value.start_mark.line + 1
            yield from _lines(value, (*key, number))


def _override(
    values: dict[str, Any], places: dict[Key, str], environment: Mapping[str, str]
) -> list[str]:
    """Put the values of ``DICOM_NODE__SECTION__KEY`` variables, written as YAML, into ``values``.

    pydantic-settings does this too, but adds 0.12 s to every start of the command line.
    """
    mistakes = []
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        try:
            value = yaml.safe_load(text)
        except _NOT_YAML:
            mistakes.append(f"{name}: its value is not YAML")
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        if not key:
            _forget(places, (section,))
            values[section], places[section,] = value, name
        elif isinstance(keys := values.setdefault(section, {}), dict):
            _forget(places, (section, key))
            keys[key], places[section, key] = value, name
    return mistakes


def _forget(places: dict[Key, str], key: Key) -> None:
    """Remove the lines of what a variable replaces."""
    for each in [each for each in places if each[: len(key)] == key]:
        del places[each]
