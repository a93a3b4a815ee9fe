"""Rooms of the service by themselves: no server, no database, no network."""
