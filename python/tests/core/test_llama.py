"""`kvevict.llama` without the package that it is in."""

import sys

import pytest


def test_without_the_engine_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kvevict_llama", None)
    monkeypatch.delitem(sys.modules, "kvevict.llama", raising=False)
    with pytest.raises(ImportError, match="pip install kvevict-llama"):
        import kvevict.llama  # noqa: F401
