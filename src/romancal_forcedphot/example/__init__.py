"""An embedded example: a simulated exposure, the CRDS cache that belongs to it, and the run."""
