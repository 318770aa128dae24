"""Pixels around sources: cutouts, sums over apertures, backgrounds in annuli, and neighbours."""
