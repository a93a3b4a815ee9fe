"""Values, rules, decisions and errors of Lightmeter.

Here lives what is true without a database, a network or a clock: money, sameness, states, budgets, prices and the
decisions that the store carries out. Nothing here does I/O, reads a clock, rolls dice or imports anything but the
standard library. Every floor above may come in.
"""
