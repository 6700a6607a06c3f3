"""Prompts in: every file of the field becomes a `PromptSet`, every prompt token ids."""
