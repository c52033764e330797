"""How a model rotates its keys, learned from the model itself, and keys rotated to other positions."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

import kvevict
from kvevict.transformers import _model
from kvevict.transformers._ranges import Ranges, to_indices

_BASE = 10000.0
_PROBED_AT = (1, 31, 1000)  # each refines the angle of the one before; 31 turns of the error stay below half a circle
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Rotation:
    """The rotation of one layer's keys: element pairs, and the angle of each for one position.

    Attributes
    ----------
    pairing
        ``"neox"``: (i, i + n/2); ``"norm"``: (2i, 2i + 1).
    first_dim
        Where the rotated elements begin.
    frequencies
        Radians for one position, one for each pair.
    tensor
        0: keys rotate; 1: what the cache calls values (DeepSeek's latent attention).
    """

    pairing: str
    first_dim: int
    frequencies: tuple[float, ...]
    tensor: int = 0

    @property
    def n_rot(self) -> int:
        """Elements that rotate."""
        return 2 * len(self.frequencies)

    def pairs(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The elements of each pair."""
        return _pairs(self.pairing, self.first_dim, self.n_rot)

    @functools.cached_property
    def rope(self) -> kvevict.RopeConfig:
        """The same for `kvevict.rotate_keys`. A pair that stands still is one that turns too slowly to be seen."""
        factors = [_BASE ** (-2 * i / self.n_rot) / max(abs(f), 1e-30) for i, f in enumerate(self.frequencies)]
        return kvevict.RopeConfig(
            pairing=self.pairing, n_rot=self.n_rot, first_dim=self.first_dim, base=_BASE, freq_factors=factors
        )

    def turn(self, held: torch.Tensor, rows: Ranges) -> None:
        """Rotates keys that lay in the rows ``rows`` and now lie in the first ones to their new rows' positions.

        ``held``: ``[batch, kv_heads, n, head_dim]``, changed in place; n rows, as many as ``rows`` has.
        """
        before = to_indices(rows)
        n_still = int(np.argmax(before != np.arange(len(before)))) if len(before) else 0
        if len(before) == 0 or before[-1] == len(before) - 1:
            return
        moved = held[..., n_still:, :]
        if held.device.type == "cpu":
            kvevict.rotate_keys(moved, before[n_still:], np.arange(n_still, len(before)), self.rope)
        else:
            self.turn_by_torch(moved, np.arange(n_still, len(before)) - before[n_still:])

    def turn_by_torch(self, keys: torch.Tensor, shift: npt.NDArray[np.int64]) -> None:
        """Rotates keys ``[batch, kv_heads, n, head_dim]`` on any device, each row by ``shift`` positions, in place."""
        positions = torch.from_numpy(shift).to(keys.device, torch.float32)
        angles = positions[:, None] * torch.tensor(self.frequencies, device=keys.device, dtype=torch.float32)
        a, b = (torch.from_numpy(e).to(keys.device) for e in self.pairs())
        x, y = keys[..., a].float(), keys[..., b].float()
        keys[..., a] = (x * angles.cos() - y * angles.sin()).to(keys.dtype)
        keys[..., b] = (x * angles.sin() + y * angles.cos()).to(keys.dtype)


def _pairs(pairing: str, first_dim: int, n_rot: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    half = np.arange(n_rot // 2, dtype=np.int64)
    if pairing == "neox":
        return first_dim + half, first_dim + n_rot // 2 + half
    return first_dim + 2 * half, first_dim + 2 * half + 1


def _angles(from_: Array, to: Array, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Array:
    cross = (from_[:, a] * to[:, b] - from_[:, b] * to[:, a]).sum(0)
    dot = (from_[:, a] * to[:, a] + from_[:, b] * to[:, b]).sum(0)
    angles: Array = np.arctan2(cross, dot)
    return angles


def _turned(rows: Array, angles: Array, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Array:
    out = rows.copy()
    out[:, a] = rows[:, a] * np.cos(angles) - rows[:, b] * np.sin(angles)
    out[:, b] = rows[:, a] * np.sin(angles) + rows[:, b] * np.cos(angles)
    return out


def _fit(rows_at: dict[int, Array], pairing: str, first_dim: int, n_rot: int) -> tuple[Array, float]:
    """The frequencies that explain the rows best, and the largest difference that is left, relative to the rows."""
    a, b = _pairs(pairing, first_dim, n_rot)
    frequencies = np.zeros(n_rot // 2)
    for position in _PROBED_AT:
        expected = frequencies * position
        off = _angles(rows_at[0], rows_at[position], a, b) - expected
        frequencies = (expected + (off + np.pi) % (2 * np.pi) - np.pi) / position
    left = max(float(np.abs(_turned(rows_at[0], frequencies * p, a, b) - rows_at[p]).max()) for p in _PROBED_AT)
    return frequencies, left / float(np.abs(rows_at[0]).max())


def _shapes(changed: npt.NDArray[np.int64], head_dim: int) -> Iterator[tuple[str, int, int]]:
    """What may rotate, the likeliest first: pairing, first element, number of elements."""
    for first_dim in sorted({0, int(changed[0])}):
        least = int(changed[-1]) + 1 - first_dim
        for n_rot in range(least + least % 2, head_dim - first_dim + 1, 2):
            yield "neox", first_dim, n_rot
            yield "norm", first_dim, n_rot


def _learn_rows(rows_at: dict[int, Array], tolerance: float, tensor: int) -> Rotation | None:
    """The rotation of rows ``[n, head_dim]`` of the same tokens at several positions; None if none fits."""
    largest = float(np.abs(rows_at[0]).max())
    off = np.max([np.abs(rows_at[p] - rows_at[0]).max(0) for p in _PROBED_AT], axis=0)
    changed = np.flatnonzero(off > tolerance * largest / 4)
    for pairing, first_dim, n_rot in _shapes(changed, rows_at[0].shape[1]):
        frequencies, left = _fit(rows_at, pairing, first_dim, n_rot)
        if left <= tolerance:
            return Rotation(pairing, first_dim, tuple(frequencies.tolist()), tensor)
    return None


def _is_still(rows_at: dict[int, Array], tolerance: float) -> bool:
    largest = float(np.abs(rows_at[0]).max())
    return all(float(np.abs(rows_at[p] - rows_at[0]).max()) <= tolerance * largest for p in _PROBED_AT)


def _probe(model: PreTrainedModel, position: int) -> list[tuple[Array, Array] | None]:
    """Keys and values of a few tokens, each alone at ``position``, as ``[rows, head_dim]`` for each layer."""
    base: Any = model.base_model
    n_vocab = int(model.config.get_text_config(decoder=True).vocab_size)
    device = _model.device_of(model)
    tokens = torch.arange(1, 9, device=device)[:, None] * 7919 % n_vocab
    cache = DynamicCache(config=model.config)
    positions = torch.full((1, 1), position, device=device)
    with torch.no_grad():
        base(tokens, position_ids=positions, use_cache=True, **{_model.cache_argument(base): cache})
    found: list[tuple[Array, Array] | None] = []
    for layer in cache.layers:
        tensors = [t for name in ("keys", "values") if isinstance(t := getattr(layer, name, None), torch.Tensor)]
        k_and_v = [t.double().reshape(-1, t.shape[-1]).cpu().numpy() for t in tensors]
        found.append((k_and_v[0], k_and_v[1]) if len(k_and_v) == 2 else None)
    return found


def _require_fixed_frequencies(model: PreTrainedModel) -> None:
    config: Any = model.config.get_text_config(decoder=True).to_dict()
    kinds = set(_rope_types({k: config.get(k) for k in ("rope_parameters", "rope_scaling")}))
    changing = kinds & {"dynamic", "longrope"}
    if changing:
        raise ValueError(
            f"positions='packed' cannot be had with the rope type {min(changing)!r} of "
            f"{type(model).__name__}: its frequencies change with the length. Use positions='absolute'"
        )


def _rope_types(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in ("rope_type", "type") and isinstance(inner, str):
            yield inner
        yield from _rope_types(inner)


def learn_rotations(model: PreTrainedModel, layers: list[int]) -> list[Rotation | None]:
    """The rotation of the layers with these numbers, None for a layer that rotates nothing.

    A token alone attends to itself only, so what it is in each layer does not depend on its position, and
    ``key(p) = R(p) key(0)`` in every layer: four forwards of one token show the pairs, the frequencies and the layers
    without positions, whatever the configuration calls them.

    Raises
    ------
    ValueError
        If frequencies change with the length, if positions do not reach the model, or if keys change in another way.
    """
    _require_fixed_frequencies(model)
    name = type(model).__name__
    if "position_ids" not in inspect.signature(model.base_model.forward).parameters:
        raise ValueError(f"positions='packed' cannot be had with {name}: it takes no position_ids")
    with _model.evaluating(model):
        at = {position: _probe(model, position) for position in (0, *_PROBED_AT)}
    tolerance = 2e-3 if model.dtype == torch.float32 else 3e-2
    rotations = []
    for number in layers:
        kept = {p: rows[number] for p, rows in at.items()}
        tensors = [{p: kv[t] for p, kv in kept.items() if kv is not None} for t in (0, 1)]
        rotations.append(_learn_layer(tensors, tolerance, f"layer {number} of {name}"))
    return rotations


def _learn_layer(tensors: list[dict[int, Array]], tolerance: float, where: str) -> Rotation | None:
    moving = [t for t in (0, 1) if not _is_still(tensors[t], tolerance / 4)]
    if not moving:
        return None
    found = _learn_rows(tensors[moving[0]], tolerance, moving[0]) if len(moving) == 1 else None
    if found is None:
        raise ValueError(
            f"positions='packed' cannot be had: {where} does not rotate its keys by position alone "
            "(learned positions, or a rotation that changes). Use positions='absolute'"
        )
    return found
