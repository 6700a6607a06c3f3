"""What is asked of the computer: clocks, memory, energy, where a run ran."""
