"""The providers' doors: fal and Replicate behind one protocol, downloads of pictures, and what is wrapped
around them.

Lives here: everything that knows a provider's wire (addresses, headers, status words, error bodies), the
packages fal-client and replicate, httpx, the tables that turn foreign answers and exceptions into values of
`service.ports` and `service.domain`, and the wrappers that count (`metered`) and protect (`breaker`).

Never here: money, states, retries of a dispatch, the database, settings. A foreign exception never leaves; a
key is never sent to a host that was not named in a constructor.

Who may come in: `service.app`, which builds the adapters and hands them to the core as ports.
"""
