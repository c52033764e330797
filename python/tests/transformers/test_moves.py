"""What torch does on other devices is what the C++ library does in host memory."""

import pytest
import torch

from kvevict.transformers import evict_dynamic_cache_inplace
from kvevict.transformers._moves import gather_rows, keep_by_torch, keep_rows
from kvevict.transformers._ranges import count, to_indices
from kvevict.transformers._rotation import Rotation

ROWS = [
    ((0, 4), (9, 30)),
    ((3, 30),),
    ((0, 30),),
    (),
    tuple((i, i + 1) for i in range(1, 41, 2)),
]


def tensor():
    return torch.randn(2, 3, 48, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows_move_alike(rows):
    keys, values, by_torch, target = tensor(), tensor() * 2, tensor(), torch.zeros(2, 3, 30, 8)
    keep_rows(keys, values, 48, rows)
    keep_by_torch(by_torch, rows)
    gather_rows(target, tensor(), rows)
    n = count(rows)
    expected = tensor().index_select(-2, torch.from_numpy(to_indices(rows)))
    for moved in (keys, values / 2, by_torch, target):
        assert torch.equal(moved[..., :n, :], expected)


@pytest.mark.parametrize("pairing", ["neox", "norm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keys_turn_alike(pairing, dtype):
    rotation = Rotation(pairing, 2, (1.0, 0.1, 0.001))
    rows = ((0, 4), (9, 30))
    keys, by_torch = tensor()[..., :25, :].to(dtype), tensor()[..., :25, :].to(dtype)
    rotation.turn(keys, rows)
    rotation.turn_by_torch(by_torch[..., 4:, :], torch.arange(4, 25).numpy() - to_indices(rows)[4:])
    assert not torch.equal(keys, tensor()[..., :25, :].to(dtype))
    assert (keys - by_torch).abs().max() < (1e-5 if dtype == torch.float32 else 0.04)


def test_a_cache_on_another_device_is_copied_and_said_to_be():
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache()
    for number in range(2):
        cache.update(*(torch.ones(1, 2, 64, 8, device="meta") for _ in range(2)), number)
    report = evict_dynamic_cache_inplace(cache, [0, 1, 60, 63])
    assert (report.in_place, report.n_kept, report.layers, report.bytes_released) == (False, 4, (0, 1), 0)
    assert cache.layers[1].keys.shape == (1, 2, 4, 8)
