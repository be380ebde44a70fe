"""A request is a transaction's number, INT32, and the transaction, FLOAT32; the answer both probabilities, FLOAT32."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import redis
import torch

NUMBER_BYTES = 4


class FraudHandler:
    def initialize(self, context: Any) -> None:
        # A line per batch goes through a pipe and through Java otherwise.
        logging.getLogger().setLevel(logging.WARNING)
        torch.set_num_threads(1)
        self.model = torch.jit.load(str(Path(context.system_properties["model_dir"]) / "model.pt")).eval()
        port = os.environ.get("REFERENCE_STORE_PORT")
        self.store = redis.Redis(port=int(port), single_connection_client=True) if port else None

    def handle(self, requests: list[dict[str, Any]], context: Any) -> list[bytes]:
        bodies = [bytes(request["body"]) for request in requests]
        inputs = [tensor([body[NUMBER_BYTES:] for body in bodies])]
        if self.store:
            numbers = [int.from_bytes(body[:NUMBER_BYTES], "little") for body in bodies]
            inputs.append(tensor(self.store.mget([f"ref:{number}" for number in numbers])))
        with torch.inference_mode():
            answers = self.model(*inputs).numpy()
        return [answer.tobytes() for answer in answers]


def tensor(rows: list[bytes]) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(bytearray().join(rows), np.float32).reshape(len(rows), -1))
