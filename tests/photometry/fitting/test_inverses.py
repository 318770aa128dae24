"""Inverses and conjugate gradients against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from romancal_forcedphot.photometry.fitting.block_inverse import inverse_by_blocks
from romancal_forcedphot.photometry.fitting.dense_inverse import last_rows_of_inverse
from romancal_forcedphot.photometry.fitting.solver import solve


def overlaps(n, size, seed=1):
    """The normal matrix of n Gaussian stars on a square, and their places."""
    x, y = np.random.default_rng(seed).uniform(0, size, (2, n))
    distance2 = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    return np.exp(-distance2 / 4) + 0.2 * np.eye(n), x, y


def assert_equal_but_for_small_correlations(found, expected):
    """Entries are right, or left out because the correlation is below 0.002."""
    found, err = found.toarray(), np.sqrt(np.diagonal(expected))
    correlation = expected / (err * err[:, None])
    left_out = (found == 0) & (abs(correlation) < 0.002)
    np.testing.assert_allclose(found[~left_out], expected[~left_out], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "n_rows"), [(1, 1), (30, 7), (200, 60), (200, 200)])
def test_last_rows_are_those_of_the_inverse(n, n_rows):
    matrix, *_ = overlaps(n, 20)
    expected = np.linalg.inv(matrix)[n - n_rows :]
    np.testing.assert_allclose(last_rows_of_inverse(matrix, n_rows), expected, atol=1e-9)


def test_a_matrix_that_is_indefinite_by_rounding_has_positive_variances():
    matrix = np.ones((3, 3)) + np.diag([0.0, 0.0, 1e-9]) - 1e-12 * np.eye(3)
    rows = last_rows_of_inverse(matrix, 3)
    assert np.isfinite(rows).all()
    assert (np.diagonal(rows) > 0).all()


def test_the_inverse_by_blocks_is_the_inverse_nearby():
    """Beyond the halo, sources depend on each other by little."""
    matrix, x, y = overlaps(300, 60)
    found = inverse_by_blocks(csr_array(np.where(matrix > 1e-6, matrix, 0)), x, y).toarray()
    expected = np.linalg.inv(matrix)
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(expected), rtol=2e-3)
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())


def test_one_block_has_the_whole_inverse():
    matrix, x, y = overlaps(40, 9)
    found = inverse_by_blocks(csr_array(matrix), x, y)
    assert_equal_but_for_small_correlations(found, np.linalg.inv(matrix))


@pytest.mark.parametrize("is_preconditioned", [False, True])
def test_conjugate_gradients_solve_the_equations(is_preconditioned):
    matrix, *_ = overlaps(80, 30)
    expected = np.random.default_rng(2).normal(size=80)
    inverse = np.linalg.inv(matrix + 0.01 * np.eye(80))
    found = solve(
        lambda vector: matrix @ vector,
        (lambda vector: inverse @ vector) if is_preconditioned else np.copy,
        matrix @ expected,
        np.ones(80),
        tolerance=1e-9,
        max_iterations=8 if is_preconditioned else 200,
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nothing_to_solve():
    unchanged = np.copy
    zero, one = np.zeros(3), np.ones(3)
    options = {"tolerance": 0.1, "max_iterations": 5}
    np.testing.assert_array_equal(solve(unchanged, unchanged, zero, one, **options), zero)
    assert solve(unchanged, unchanged, np.zeros(0), np.zeros(0), **options).size == 0


def test_groups_that_hang_together_with_no_other_are_inverted_whole():
    """Pairs, triples and larger groups far apart, and one too large for that."""
    rng = np.random.default_rng(5)
    sizes = [1, 1, 2, 3, 3, 9, 40]
    x, y = (np.concatenate([200.0 * k + rng.uniform(0, 6, n) for k, n in enumerate(sizes)]),) * 2
    x = x + rng.uniform(0, 3, x.size)
    order = rng.permutation(x.size)
    x, y = x[order], y[order]
    distance2 = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    matrix = np.exp(-distance2 / 4) * (distance2 < 1e4) + 0.2 * np.eye(x.size)
    found = inverse_by_blocks(csr_array(matrix), x, y)
    assert found.nnz <= sum(n * n for n in sizes)
    expected = np.linalg.inv(matrix)
    assert_equal_but_for_small_correlations(found, expected)
    in_small = np.repeat(sizes, sizes)[order] < 40
    np.testing.assert_allclose(found.toarray()[in_small], expected[in_small], rtol=1e-5, atol=1e-5)


def test_a_singular_group_has_positive_variances():
    matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    x = np.array([10.0, 10.0, 500.0])
    found = inverse_by_blocks(csr_array(matrix), x, x).toarray()
    assert (np.diagonal(found) > 0).all()
    assert found[2].tolist() == [0, 0, 0.5]
