"""A request is a transaction and its number; the answer both probabilities."""

import os
import site
from pathlib import Path

# The backend's interpreter heeds no PYTHONPATH.
site.addsitedir(os.environ["MODEL_PACKAGES"])

import numpy as np
import onnxruntime
import redis
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = Path(args["model_repository"]) / args["model_version"] / "fraud.onnx"
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        port = os.environ.get("REFERENCE_STORE_PORT")
        self.store = redis.Redis(port=int(port), single_connection_client=True) if port else None

    def execute(self, requests: list) -> list:
        transactions = rows(requests, "transaction")
        inputs = {"transaction": transactions}
        if self.store:
            inputs["reference"] = self.references(rows(requests, "number"))
        answers = self.session.run(["output"], inputs)[0]
        return responses(requests, answers)

    def references(self, numbers: np.ndarray) -> np.ndarray:
        records = self.store.mget([f"ref:{number}" for number in numbers[:, 0]])
        return np.frombuffer(b"".join(records), np.float32).reshape(len(records), -1)


def rows(requests: list, name: str) -> np.ndarray:
    return np.concatenate([pb_utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests])


def responses(requests: list, answers: np.ndarray) -> list:
    """One per request, each of one row."""
    return [
        pb_utils.InferenceResponse([pb_utils.Tensor("output", answer[np.newaxis])])
        for answer, _ in zip(answers, requests, strict=True)
    ]
