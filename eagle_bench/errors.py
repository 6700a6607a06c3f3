"""The two ways a command ends badly: the user's mistake (exit 2) and a failure (exit 1)."""


class UserError(ValueError):
    """Bad input: one sentence that says what was wrong, where, and what would be right."""


class RunFailure(RuntimeError):
    """The input was fine but the work could not be done (out of memory, a lost device)."""
