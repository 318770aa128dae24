"""Integration of the step with stpipe and romancal.

`framework` has the base class of the step (with `parameters`, `inputs` and, for the log,
`summary`), `hooks` runs it as a hook of another step, `batch` on many exposures, `step_finder`
finds reference files through the step, and `pictures` writes the page of plots beside a product.
"""
