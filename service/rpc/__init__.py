"""The gRPC door: identity, field syntax, conversion between messages and domain values, errors on the wire, the server.

Everything that knows gRPC or protobuf lives here and nothing else does. It never decides about money, routes or state: it
hands values to `service.core` and reads through `service.ports`. Only `service.app` comes in, to build the server.
"""
