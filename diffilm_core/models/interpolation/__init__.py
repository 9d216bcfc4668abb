"""Interpolation networks: Diffilm's own and RIFE's, behind one `load_interpolator`."""

from __future__ import annotations

from .load import NetworkInterpolator, load_interpolator

__all__ = ["NetworkInterpolator", "load_interpolator"]
