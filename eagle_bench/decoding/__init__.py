"""Generation: one loop of propose, verify, accept, commit, emit for every method."""
