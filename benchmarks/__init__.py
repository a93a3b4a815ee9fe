"""How fast it is, measured on this machine, each figure beside a bare echo server in the same run.

`python -m benchmarks` starts real processes on loopback (the echo server, the service on its instant sandbox, PostgreSQL,
one process of load), ends them all, and writes `results.json`: one flat object, `<case>.<database>.c<concurrency>.<figure>`.
Nothing of the product imports this; it may come into the service's doors, its store and its stubs.
"""
