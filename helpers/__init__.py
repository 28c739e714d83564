"""Press Enter: the package behind the notebooks.

Read `helpers/transformer.py` first: one class that runs SmolLM2, MiniLM, GPT-2 and the models you train yourself.
Modules are imported when first used, so `import helpers` costs nothing you do not need.
"""
import importlib

__course__ = "press-enter"          # how a notebook's first cell knows this package from others called `helpers`
__version__ = "0.1.0"

MODULES = ("assets", "attention_plots", "beams", "charts", "chat", "constrained", "corpora", "environment",
           "exercises", "plots", "pretrained", "progress", "proof", "quantization", "retrieval", "sampling", "serving",
           "speculative", "sweeps", "tales", "tokenizer", "tracing", "training", "training_view", "transformer",
           "vocabularies", "waiting", "widgets", "word_vectors")
SHORTCUTS = {"start": "environment", "attention": "transformer"}     # helpers.start() is helpers.environment.start()


def __getattr__(name: str):
    """Import a module of the course, or a shortcut into one, at its first use (PEP 562)."""
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in SHORTCUTS:
        return getattr(importlib.import_module(f"{__name__}.{SHORTCUTS[name]}"), name)
    raise AttributeError(f"helpers has no {name!r}; its modules are {', '.join(MODULES)}.")


def __dir__():
    return sorted([*globals(), *MODULES, *SHORTCUTS])
