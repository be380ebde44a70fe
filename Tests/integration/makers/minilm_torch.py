"""minilm_torch.py FOLDER WEIGHTS: all-MiniLM-L6-v2 with mean pooling as the TorchScript module `model.pt`."""

import math
import sys
from pathlib import Path
from typing import Mapping

import numpy as np
import torch
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, INNER, EPSILON = 6, 12, 384, 1536, 1e-12


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, state: Tensor, bias: Tensor) -> Tensor:
        query, key, value = self.heads(self.query(state)), self.heads(self.key(state)), self.heads(self.value(state))
        scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + bias
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)

    def heads(self, state: Tensor) -> Tensor:
        return state.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)


class Residual(nn.Module):
    """A dense layer whose result is added to what was there before, and normalised."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, change: Tensor, state: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(change) + state)


class Layer(nn.Module):
    """The names are those of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": Attention(), "output": Residual(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = Residual(INNER)

    def forward(self, state: Tensor, bias: Tensor) -> Tensor:
        state = self.attention["output"](self.attention["self"](state, bias), state)
        return self.output(nn.functional.gelu(self.intermediate["dense"](state)), state)


class Embeddings(nn.Module):
    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            self.add_module(name, nn.Embedding(*weights[f"embeddings.{name}.weight"].shape))
        self.LayerNorm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        positions = torch.arange(ids.size(1), device=ids.device)
        tokens = self.word_embeddings(ids) + self.token_type_embeddings(types)
        return self.LayerNorm(tokens + self.position_embeddings(positions))


class MiniLM(nn.Module):
    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.embeddings = Embeddings(weights)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer() for _ in range(LAYERS))})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        mask = attention_mask.to(torch.float32)
        bias = ((1.0 - mask) * torch.finfo(torch.float32).min)[:, None, None]
        state = self.embeddings(input_ids, token_type_ids)
        for layer in self.encoder["layer"]:
            state = layer(state, bias)
        mean = (state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


def main() -> None:
    weights = np.load(sys.argv[2])
    module = MiniLM(weights).eval()
    module.load_state_dict({name: torch.from_numpy(weights[name]) for name in module.state_dict()})
    example = torch.ones(2, 7, dtype=torch.int64)
    torch.jit.trace(module, (example, example, torch.zeros_like(example))).save(str(Path(sys.argv[1]) / "model.pt"))


with torch.no_grad():
    main()
