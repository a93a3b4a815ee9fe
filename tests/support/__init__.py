"""Stand-ins and servers that tests share: a clock that is moved by hand, seeded dice, a real S3 server."""
