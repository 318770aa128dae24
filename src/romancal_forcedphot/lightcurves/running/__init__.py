"""Many exposures: which ones, what is left to measure, and the workers that measure it.

run              `run`: the command as a function
parameters       parameters by name, as the command line gives them
exposure_list    files, globs, associations and lists become named exposures
resume           what earlier runs have done, and what is left
jobs             what a worker does with one exposure
pools            workers: local processes, a Dask cluster, any executor
engine           hands exposures to workers; one that fails or dies stops no other
"""
