"""The use cases: submit, quote, run, watch and cancel; what runs beside them (heartbeat, takeover, deadlines, late results,
switches, retention); the ledger's figures.

Decides nothing about money or states by itself (the domain does), and knows no library, protocol or database: it works through
the ports. The doors and the composition root, which stand above it, come in; it never reaches up to them.
"""
