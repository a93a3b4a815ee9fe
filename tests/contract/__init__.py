"""What every implementation of a port must do: suites that name no implementation, and what binds them."""
