"""The tests of Lightmeter; one package per room or promise.

Here live fakes, contract suites and what binds them. Nothing that ships imports from here.
"""
