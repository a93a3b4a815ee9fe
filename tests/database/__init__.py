"""Proofs about the database room that need its inside: statements stepped by hand, connections cut, books broken."""
