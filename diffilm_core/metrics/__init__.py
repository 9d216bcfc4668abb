"""How near two films are: PSNR, SSIM, LPIPS, flicker."""
