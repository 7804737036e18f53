"""A diffusion model over the latents of the bars of a window, and the composer that it makes with a bar VAE."""
