"""The whole core in simulated time: real decisions and use cases; all else is made up and follows from a seed.

Here lives everything that the simulation is made of. `loop`: time and processes; `gate`: what stands between a process and the
world; `tables`, `database`: the store; `cloud`: the providers' truth; `doors`: what a replica sees of the world; `replica`;
`callers`, `operators`, `notices`: who comes from outside; `mishaps`: what goes wrong; `rules`: checked after every commit;
`closing`: checked at the end; `twists`, `planted`: faults of ours that have to be found; `run`, `report`, `trace` and
`__main__`. Nothing here asks a real clock, starts a thread or opens a connection. Only the tests and `make simulate` come in.
"""
