"""Sound bounds of networks and of what pruning does to them: certificates."""
