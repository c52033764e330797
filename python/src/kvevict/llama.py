"""The engine: sessions, conversations and a server on llama.cpp (``pip install kvevict-llama``).

A `Model` is a GGUF file; `Model.session` and `Model.conversation` give it a KV cache that stays within a budget.
"""

try:
    from kvevict_llama import (  # pyright: ignore[reportMissingImports]
        Answer,
        Conversation,
        Model,
        Server,
        Session,
        Stats,
        engine_info,
    )
except ModuleNotFoundError as error:
    if error.name != "kvevict_llama":
        raise
    raise ImportError("kvevict.llama is in a package of its own: pip install kvevict-llama", name=error.name) from error

__all__ = ["Answer", "Conversation", "Model", "Server", "Session", "Stats", "engine_info"]
