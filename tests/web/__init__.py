"""The HTTP door, asked over real loopback HTTP."""
