"""A head for any target, learnt from answers that the target wrote."""
