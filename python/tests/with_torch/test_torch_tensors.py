"""What the core does with torch's tensors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import kvevict  # noqa: E402
from evict.simple_evict import SimpleEvictConfig, build_simple_keep_token_idx  # noqa: E402

DTYPES = [
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int8,
    torch.uint8,
]


def layer(dtype=torch.float32, seq=8):
    return (torch.arange(2 * seq * 4) % 100).reshape(1, 2, seq, 4).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_move_as_index_select_moves_them(dtype):
    k = layer(dtype)
    v = layer(dtype).transpose(1, 2).contiguous().transpose(1, 2)  # [batch, seq, heads, dim] in memory
    keep = torch.tensor([0, 1, 5, 7])
    assert kvevict.evict_rows(k, v, 8, keep) == 4
    for tensor in (k, v):
        assert torch.equal(tensor[:, :, :4].float(), layer(dtype).float().index_select(-2, keep))


def test_rows_of_a_slice_move_within_it():
    whole = torch.zeros(1, 2, 20, 8)
    whole[:, :, 5:13, 2:6] = layer()
    kvevict.evict_rows(whole[:, :, 5:13, 2:6], None, 8, [6, 7])
    assert torch.equal(whole[:, :, 5:7, 2:6], layer()[:, :, 6:])
    assert whole[:, :, :5].abs().sum() + whole[..., 6:].abs().sum() == 0


@pytest.mark.parametrize(
    ("k", "kind", "sentence"),
    [
        (lambda: layer().requires_grad_(), ValueError, "k requires gradients"),
        (lambda: layer().requires_grad_() * 2, ValueError, "k requires gradients"),
        (lambda: layer().to("meta"), ValueError, "meta device"),
        (lambda: layer()[:, :1].expand(1, 2, 8, 4), ValueError, "share memory"),
        (lambda: layer(torch.float64), TypeError, "elements of torch.float64"),
        (lambda: layer(torch.complex64), TypeError, "elements of torch.complex64"),
        (lambda: layer().to_sparse(), TypeError, "k is a torch.Tensor"),
        (lambda: layer()[0], ValueError, "k has 3 axes"),
    ],
)
def test_tensors_that_cannot_be_are_refused(k, kind, sentence):
    v = layer()
    with pytest.raises(kind, match=sentence):
        kvevict.evict_rows(k(), v, 8, [5])
    with pytest.raises(kind, match=sentence):
        kvevict.rotate_keys(k(), range(8), range(1, 9), kvevict.RopeConfig())
    assert torch.equal(v, layer())


def test_tensors_of_inference_mode_are_taken_outside_of_it():
    with torch.inference_mode():
        k = layer()
    kvevict.evict_rows(k, None, 8, [7])
    assert torch.equal(k[:, :, 0], layer()[:, :, 7])


def test_a_graph_that_saved_a_tensor_is_told_of_the_change():
    weight = torch.ones(4, requires_grad=True)
    k = layer()
    loss = (k * weight).sum()
    kvevict.evict_rows(k, None, 8, [7])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_keys_of_bfloat16_are_rotated():
    keys = torch.randn(1, 2, 6, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    exact = keys.float().clone()
    kvevict.rotate_keys(keys, range(2, 8), range(6), kvevict.RopeConfig())
    kvevict.rotate_keys(exact, range(2, 8), range(6), kvevict.RopeConfig())
    assert torch.allclose(keys.float(), exact, atol=0.02)


def test_the_demos_function_gives_a_tensor_where_it_is_asked_for():
    kept = build_simple_keep_token_idx(total_len=4096, cfg=SimpleEvictConfig())
    assert kept.dtype == torch.int64
    assert kept.shape == (768,)
    assert kept.device.type == "cpu"
    assert build_simple_keep_token_idx(total_len=10, cfg=SimpleEvictConfig(), device="meta").device.type == "meta"


def test_blocks_from_end_to_end_are_where_torchs_linspace_has_them():
    for n in [*range(2, 120), 1000, 4097]:
        for k in {2, 3, 15, 27, 29, 31, 97} & set(range(2, n)):
            cfg = SimpleEvictConfig(0, 1, "uniform", k)
            kept = build_simple_keep_token_idx(total_len=n + 1, block_n=1, cfg=cfg)
            assert np.array_equal(kept[:-1], torch.linspace(0, n - 1, k).long()), (n, k)
