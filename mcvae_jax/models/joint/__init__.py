"""The MCVAE in one piece: bars, their latents and how they follow each other, trained together; it copies exactly."""
