"""A plugin of pytest for llama.cpp's tests of its server: they run with the model that is here, not with one that they download, so that
neither the words of an answer nor the number of a prompt's tokens can be theirs. Everything else that they look at stays."""

import numbers


class AnyCount:
    """Equal to every number above 0."""

    def __eq__(self, other):
        return isinstance(other, numbers.Number) and other > 0

    def __hash__(self):
        return 0

    def __repr__(self):
        return "a count of another tokenizer"


def pytest_configure(config):
    import utils  # their own, on the path of their tests

    utils.match_regex = lambda regex, text: isinstance(text, str)
    utils.ServerPreset.load_all = staticmethod(lambda: None)


def pytest_collection_modifyitems(items):
    for item in items:
        parameters = getattr(item, "callspec", None) and item.callspec.params
        if parameters and "n_prompt" in parameters:
            parameters["n_prompt"] = AnyCount()
