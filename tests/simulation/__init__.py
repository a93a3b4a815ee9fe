"""The whole core in simulated time: real decisions and use cases; a store, providers, callers and crashes that follow from a seed.

Here lives everything that the simulation is made of: `loop` (time and processes), `gate` (what stands between a process and the
world), `tables` and `database` (the store), `cloud` (the providers' truth) and `doors` (what a replica sees of them), `replica`,
`callers`, `mishaps`, `rules` (checked after every commit), `closing` (checked at the end), `run` and `__main__`. Nothing here asks a real clock,
starts a thread or opens a socket. Only the tests and `make simulate` come in.
"""
