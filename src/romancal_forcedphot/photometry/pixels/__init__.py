"""Pixels around sources: cutouts, aperture sums, local backgrounds and neighbours."""
