"""The whole replica, from the client's call to the sandbox's book: what only holds when every part is there."""
