"""Models: text and tokens, and files that are none."""

import kvevict.llama
import pytest
from kvevict.llama import Model

MESSAGES = [{"role": "user", "content": "What is <|im_end|>?"}]


def test_text_goes_to_tokens_and_back(model):
    tokens = model.tokenize("The sea is calm.")
    assert model.detokenize(tokens) == "The sea is calm."
    assert all(0 <= token < model.n_vocab for token in tokens)


def test_control_tokens_are_read_as_such_only_when_asked(model):
    assert len(model.tokenize("<|im_start|>", parse_special=True)) == 1
    assert len(model.tokenize("<|im_start|>")) > 1


def test_the_chat_template_ends_where_the_answer_begins(model):
    assert model.apply_chat_template(MESSAGES).endswith("<|im_start|>assistant\n")
    ends = [token for token in model.tokenize_chat(MESSAGES) if model.is_end_of_generation(token)]
    assert len(ends) == 2  # of the system message and of the user's: what the message writes out is text


def test_facts(model, model_file):
    assert (model.path, model.n_layers, model.architecture) == (model_file, 30, "llama")
    assert model.has_chat_template
    assert model.can_shift_positions
    assert model.kv_bytes_per_token("f32") == 2 * model.kv_bytes_per_token()
    assert "CPU" in kvevict.llama.engine_info()["backends"]


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        Model(tmp_path / "none.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("no model")
    with pytest.raises(ValueError, match=r"text\.gguf"):
        Model(text)


def test_what_is_no_token_or_message_is_refused(model):
    with pytest.raises(ValueError, match=f"tokens has {model.n_vocab}: "):
        model.detokenize([model.n_vocab])
    with pytest.raises(ValueError, match=r'messages\[0\]: the field "content" is missing'):
        model.tokenize_chat([{"role": "user"}])
    with pytest.raises(TypeError, match=r"messages\[0\] is no dict"):
        model.tokenize_chat(["hello"])
    with pytest.raises(ValueError, match='kv_type is "f8"'):
        model.kv_bytes_per_token("f8")
