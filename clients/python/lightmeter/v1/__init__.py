"""The wire: Python code generated from `proto/lightmeter/v1`, and nothing else.

Lives here: the one generated copy of the stubs, written by `python proto/generate.py` and committed. Never
edited by hand, and never copied: two copies in one process collide in protobuf's descriptor pool. May come
in: the client package above, and the service's `rpc` room, which translate these messages to and from their
own values.
"""
