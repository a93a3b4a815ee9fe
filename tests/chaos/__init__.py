"""Chaos: real processes are killed, stopped and cut off from each other while callers go on; then three books are compared.

Lives here: the fault proxy, the processes of a run, the load, the plan of faults, the comparison, and their tests. `make chaos`
runs it at length. Nothing here reaches into the product: what a replica does is recognised from what it says on its wires.
Product code never imports it; tests of whole deployments may.
"""
