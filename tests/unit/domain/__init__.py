"""Values, rules and decisions, each by itself: no database, no network, no clock."""
