"""The HTTP door: metrics, health, readiness, pictures of the embedded store, the providers' webhooks.

Here live starlette and uvicorn, and nowhere else. What the door shows is handed in as functions and ports, and so is the use
case that takes webhooks: it knows no database, no provider and no job, and it never decides anything. Text is rendered in a
thread, because rendering thousands of series would hold up every call. `app` starts, drains and stops it; nobody else comes in.
"""
