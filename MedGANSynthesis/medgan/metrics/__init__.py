"""Image quality against a reference: pure functions of arrays, in physical units, with range and mask stated.

``basic``: MAE, RMSE, bias, PSNR and SSIM. ``synthrad``: the definitions of the SynthRAD challenges, for comparison with
what they publish. ``windows``: what a radiologist's window shows. ``texture``: noise and edges kept. ``enhancement``:
contrast-to-noise ratio. ``head``: range of an MR, which has no units. ``staining``: colors of slides. ``perceptual``:
LPIPS and FID, which need weights of others. ``multiscale``: MS-SSIM of Wang et al. ``catalogue``: what each name in a
table means. ``judges``: which of them a task is judged by.
"""

from __future__ import annotations

from .basic import CT_RANGE_HU, bias, mae, psnr_db, rmse, ssim, summary

__all__ = ["CT_RANGE_HU", "bias", "mae", "psnr_db", "rmse", "ssim", "summary"]
