"""The use cases: submit, run, watch, expire, check. Decides nothing about money by itself (the domain does) and knows no
library, protocol or database: it works through the ports. The doors above come in; doors beside it never do.
"""
