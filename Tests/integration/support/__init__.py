"""Helpers shared by the integration tests: servers, a raw protocol client and ONNX models."""
