"""Every interleaving of a scenario: in the model, and gated step by step on a real database."""
