"""The Python client and the command line, against a scripted service on a real gRPC server on loopback."""
