"""Settings, whatever they are for: read, laid over each other, compared, checked."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from morelike.errors import UserError, nearest


def read_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML `text` that came from `where`.

    Raises:
        UserError: if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where} is not valid TOML: {error}.") from error


def parse_assignment(text: str) -> dict[str, Any]:
    """`section.key=value` as a nested mapping; the value is TOML, or else plain text.

    >>> parse_assignment("training.batch=32")
    {'training': {'batch': 32}}

    Raises:
        UserError: if there is no `=` or no key.
    """
    name, sign, value = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not sign or not all(keys):
        raise UserError(f"'{text}' is not of the form section.key=value, as in training.batch=32.")
    try:
        parsed: Any = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for key in reversed(keys):
        parsed = {key: parsed}
    return parsed


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over each other, later ones on top."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping):
                value = merge(below, value)
            result[key] = value
    return result


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differing_keys(one: BaseModel, other: BaseModel) -> list[str]:
    """Dotted names of the keys on which two configurations disagree."""
    a, b = flatten(one.model_dump(mode="json")), flatten(other.model_dump(mode="json"))
    return sorted(key for key in a.keys() | b.keys() if a.get(key, ...) != b.get(key, ...))


S = TypeVar("S", bound=BaseModel)


def validate(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Check `values` against `model`.

    Raises:
        UserError: one sentence naming each wrong key, why, and the nearest known one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        complaints = "; ".join(_complaints(model, error))
        raise UserError(f"{where}: {complaints}.") from None


def _complaints(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        name = ".".join(location) or "configuration"
        if problem["type"] == "extra_forbidden":
            section = _section_at(model, location[:-1])
            known = section.model_fields if section else ()
            yield f"unknown key '{name}', {nearest(location[-1], known)}"
        elif problem["type"] == "value_error":
            yield f"{name}: {problem.get('ctx', {}).get('error', problem['msg'])}"
        else:
            message = problem["msg"].removeprefix("Input ")
            yield f"{name} {message} (got {problem['input']!r})"


def _section_at(model: type[BaseModel], path: Iterable[str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for key in path:
        if current is None or key not in current.model_fields:
            return None
        annotation = current.model_fields[key].annotation
        options = [annotation]
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            options = list(typing.get_args(annotation))
        current = next(
            (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None
        )
    return current
