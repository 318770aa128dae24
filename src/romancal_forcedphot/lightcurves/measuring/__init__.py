"""One exposure: its sources are measured and become rows of light curves, kept in one file.

measurement      `measure_image`: an image becomes a `MeasuredExposure`
times            middle of the exposure, barycentric times
offsets          centroids of bright sources and their median offset from the catalog
psf_sample       noise-equivalent area and centroid of the PSF
rows             the columns of a row, and what follows from flux and error
records          `ExposureRecord`, `MeasuredExposure`: what a measurement returns
exposure_files   the Parquet file of a measured exposure: written and read
"""
