"""call.py PORT PATH: sends the message on standard input by gRPC and writes the answer's to standard output."""

import sys

import grpc

with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    sys.stdout.buffer.write(channel.unary_unary(sys.argv[2])(sys.stdin.buffer.read(), timeout=30))
