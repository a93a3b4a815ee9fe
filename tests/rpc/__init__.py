"""The gRPC door, tested on the wire: a real in-process server, raw stubs, and small fakes in the core's place."""
