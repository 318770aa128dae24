"""Rows by exposure become light curves by source: a HATS catalog.

collation        `collate`: the whole of it, in two passes through the exposures
survey           first pass: what there is, and which sources are bright and constant
zero_points      relative zero points of exposures
regrouping       second pass: points by exposure become points by source, in bounded memory
curves           the light curves of some sources as a table
summaries        mean flux, chi-squared, baseline and flux difference of each source
partitioning     sources cut into HEALPix pixels
hats             files and metadata of the HATS catalog
exposure_table   the table with a row per exposure
"""
