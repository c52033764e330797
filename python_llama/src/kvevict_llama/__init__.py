"""The engine of kvevict: sessions and conversations on llama.cpp whose KV cache stays within a budget, and a server.

Use it by the name ``kvevict.llama``.
"""

import pathlib

from kvevict_llama._processor import choose_engine

choose_engine(pathlib.Path(__file__).parent)

from kvevict_llama._engine import Answer, Conversation, Model, Server, Session, Stats, engine_info
from kvevict_llama._engine import version as __version__

__all__ = ["Answer", "Conversation", "Model", "Server", "Session", "Stats", "__version__", "engine_info"]
