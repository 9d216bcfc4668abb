"""How good films are: FVD, FID, IS, CLIPSIM, LPIPS, PSNR, SSIM, flicker, motion, the probe; of files or a model."""
