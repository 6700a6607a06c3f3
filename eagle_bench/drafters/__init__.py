"""What proposes tokens: one file per way to draft."""
