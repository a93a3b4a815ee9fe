"""The providers' doors against the sandbox, against scripted answers, and against raw sockets that
misbehave.
"""
