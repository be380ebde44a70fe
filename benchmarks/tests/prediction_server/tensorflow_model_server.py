"""A small server with TensorFlow Serving's interface, made of its published messages, grpcio and TensorFlow, to test
the adapter where there is no tensorflow_model_server. It heeds those options that say where and what it serves."""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

HOST = "127.0.0.1"


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, signatures: dict) -> None:
        self.signatures = signatures

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        if request.model_spec.name != "fraud":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_spec.name}")
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, tensor in self.signatures[request.model_spec.signature_name](**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response


def rest_handler(signatures: dict) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200 if self.path == "/v1/models/fraud" else 404, {})

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/models/fraud:predict":
                self.answer(404, {"error": self.path})
                return
            inputs = {name: tf.constant(values, tf.float32) for name, values in content["inputs"].items()}
            [output] = signatures[content["signature_name"]](**inputs).values()
            self.answer(200, {"outputs": output.numpy().tolist()})

        def answer(self, status: int, content: dict) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rest_api_port", type=int, required=True)
    parser.add_argument("--model_name", choices=["fraud"], required=True)
    parser.add_argument("--model_base_path", type=Path, required=True)
    return parser.parse_known_args()[0]


def main() -> None:
    arguments = parse_arguments()
    signatures = tf.saved_model.load(str(arguments.model_base_path / "1")).signatures
    server = grpc.server(ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(signatures), server)
    server.add_insecure_port(f"{HOST}:{arguments.port}")
    server.start()
    ThreadingHTTPServer((HOST, arguments.rest_api_port), rest_handler(signatures)).serve_forever()


main()
