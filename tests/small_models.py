"""A model that talks nonsense in a millisecond: enough to see how text is written, and how a chat is kept."""
import os

import torch

from helpers.transformer import Config, Transformer

DEVICES = ["cpu", "cuda"] if os.environ.get("COURSE_DEVICE") == "cuda" else ["cpu"]
V = 300


def small_model(context):
    """Two layers with random weights, so wide that it is never sure of a token and no two texts look alike to it."""
    torch.manual_seed(0)
    model = Transformer(Config(vocabulary=V, context=context, d_model=24, layers=2, heads=4, kv_heads=2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    return model.requires_grad_(False)
