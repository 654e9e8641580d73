"""One run of pruning: what was asked for, what its parts share, the budget, and its steps."""
