"""TensorFlow Serving over REST, set up as for gRPC: the reference record travels as JSON."""

from suite.systems.tensorflow_serving import REST, TensorFlowServing

SYSTEM = TensorFlowServing("tensorflow-serving-rest", "TensorFlow Serving, REST", REST)
