"""Rules of the house that no linter knows: sizes, names, words, signs, locks, and what the docs promise.

These tests read the tree as text and syntax; they import nothing of the product and start nothing.
"""
