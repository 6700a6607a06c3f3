"""What the parts of a round cost, what they predict, and the least they could cost."""
