"""What the tests of ``kvevict.transformers`` share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "examples")]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:`past_key_values` is deprecated:FutureWarning")


try:
    import torch
    import transformers
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()

    @pytest.fixture(scope="session")
    def llama() -> transformers.PreTrainedModel:
        """A tiny Llama with random weights."""
        import _families as families

        return families.tiny("llama")

    @pytest.fixture
    def ids() -> torch.Tensor:
        """160 random tokens, ``[1, 160]``."""
        return torch.randint(3, 256, (1, 160), generator=torch.Generator().manual_seed(1))
