"""A generative adversarial network over the latents of bars (thesis 4.3)."""
