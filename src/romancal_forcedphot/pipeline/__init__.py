"""How the step lives within stpipe and romancal: all of it but the photometry.

`framework` has the base class of the step (with `parameters`, `inputs` and, for the log,
`summary`), `hooks` lets it run beside another step, `batch` on many exposures, `step_finder` asks
CRDS through the step, and `pictures` draws the page beside a product.
"""
