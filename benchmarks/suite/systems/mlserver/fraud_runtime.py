"""A request is a transaction and its number; the answer both probabilities."""

import os

import numpy as np
import onnxruntime
import redis
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput
from mlserver.utils import get_model_uri

DATA_TYPES = {"FP32": np.float32, "INT64": np.int64}


class FraudRuntime(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = await get_model_uri(self.settings)
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        port = os.environ.get("REFERENCE_STORE_PORT")
        # Blocking: the store answers sooner than the event loop would come back to it.
        self.store = redis.Redis(port=int(port), single_connection_client=True) if port else None
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = {each.name: array(each) for each in payload.inputs}
        inputs = {"transaction": given["transaction"]}
        if self.store:
            inputs["reference"] = self.references(given["number"][:, 0])
        answers = self.session.run(["output"], inputs)[0]
        flat = answers.ravel().tolist()
        output = ResponseOutput(name="output", datatype="FP32", shape=list(answers.shape), data=flat)
        return InferenceResponse(model_name=self.name, outputs=[output])

    def references(self, numbers: np.ndarray) -> np.ndarray:
        records = self.store.mget([f"ref:{number}" for number in numbers])
        return np.frombuffer(b"".join(records), np.float32).reshape(len(records), -1)


def array(tensor: RequestInput) -> np.ndarray:
    return np.array(tensor.data, DATA_TYPES[tensor.datatype]).reshape(tensor.shape)
