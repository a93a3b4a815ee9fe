"""Whether the sandbox plays the providers well: the real fal-client and replicate packages, and raw HTTP."""
