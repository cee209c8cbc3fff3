"""Standard errors: of score differences, from the inverse Hessian of the scores given everything else.

Takes pairs of items with the curvature that judgements give each; yields one error a pair. Completions of different
prompts never meet, so the Hessian falls into small blocks, one a connected component; blocks of one size are inverted
together. Leaving out the annotators' own uncertainty makes the errors slightly too small, by less the more judgements
each annotator gave.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.preferences.table import Floats, Ints

LARGEST_BLOCK = 2000
"""Items of a component beyond which its inverse (32 MB at this size) is not formed.

Then the variance of a difference is taken as 1/h_a + 1/h_b, with h the diagonal: right in the limit of large, well
connected comparison graphs (von Luxburg et al., JMLR 2014), too small for a long chain of items."""


def difference_errors(item_a: Ints, item_b: Ints, curvature: Floats, *, items: int, prior: float) -> Floats:
    """Errors [pairs] of u_a - u_b under a normal prior of s.d. `prior` and one `curvature` entry a pair."""
    edges = coo_array((np.ones(len(item_a)), (item_a, item_b)), shape=(items, items))
    count, component = connected_components(edges, directed=False)
    sizes = np.bincount(component, minlength=count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(items, dtype=np.int64)
    place[np.argsort(component, kind="stable")] = np.arange(items) - np.repeat(starts, sizes)
    diagonal = np.bincount(item_a, curvature, items) + np.bincount(item_b, curvature, items) + 1 / prior**2
    variances = 1 / diagonal[item_a] + 1 / diagonal[item_b]
    size_of_pair = sizes[component[item_a]]
    number = np.empty(count, dtype=np.int64)
    for size in np.unique(size_of_pair[size_of_pair <= LARGEST_BLOCK]):
        members = np.flatnonzero(sizes == size)
        number[members] = np.arange(len(members))
        here = np.flatnonzero(size_of_pair == size)
        block, a, b = number[component[item_a[here]]], place[item_a[here]], place[item_b[here]]
        hessian = np.broadcast_to(np.eye(size) / prior**2, (len(members), size, size)).copy()
        for row, column, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            np.add.at(hessian, (block, row, column), sign * curvature[here])
        covariance = np.linalg.inv(hessian)
        variances[here] = covariance[block, a, a] + covariance[block, b, b] - 2 * covariance[block, a, b]
    return np.asarray(np.sqrt(variances), dtype=np.float64)
