"""The SQL room: tables, the one writer of state (`DatabaseStore`), the readers, the hints.

Here lives everything that knows SQL, SQLAlchemy or a driver. Decisions never do: they are pure functions of
`service.domain.decisions`, called between load and write of a batch. Nothing here speaks to a provider, a picture
store or a caller. Only the composition root comes in, through `open_database`; the core sees the ports.
"""
