"""Lightmeter: one gRPC service in front of fal and Replicate that never pays twice for the same picture.

Lives here, floor by floor: `domain` (values, rules, decisions), the seams (`ports`, `metrics`, `log`, `clock`), `core` (the
use cases), the doors (`rpc`, `web`, `providers`, `storage`, `database`, `catalog`), `settings`, and `app`, which builds them.
A module imports from the floors below its own, never sideways or up; import-linter holds the law. Never here: anything of the
sandbox or of the client but its generated stubs, which `rpc` takes. Who may come in: `python -m service`, and the tests.
"""
