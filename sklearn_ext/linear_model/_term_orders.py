"""Orders in which columns enter a sparse model: forward orthogonal least squares, least angles.

References
----------
.. [1] S. Chen, S. A. Billings and W. Luo, "Orthogonal least squares methods and their application
   to non-linear system identification", Int. J. Control 50(5), 1873-1896, 1989.
.. [2] B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", Annals of
   Statistics 32(2), 407-499, 2004.
"""

import numpy as np

# Columns whose part outside the span of the chosen ones is below this share are not chosen.
DEPENDENT = 1e-10
# Residuals below this share of the targets are rounding.
_EXPLAINED = 1e-28


def forward_order(design, y, max_terms):
    """Order columns by forward orthogonal least squares, the first column first.

    Each step takes the column that lowers the residual sum of squares of the refitted model
    most. Two running sums per column make that one matrix product a step: its squared distance
    from the span of the chosen columns, and its product with the residual.

    Parameters
    ----------
    design : ndarray of shape (n_columns, n_rows)
        Candidates, one a row; the first is always taken.
    y : ndarray of shape (n_rows,)
        Targets.
    max_terms : int
        Number of columns to take at most.

    Returns
    -------
    order : ndarray of shape (n_taken,), int
        Columns in the order taken.
    Q : ndarray of shape (n_rows, n_taken)
        Orthonormal basis of the columns in that order.
    """
    distance = np.einsum("ij,ij->i", design, design)
    floor, products, residual = DEPENDENT * distance, design @ y, y.copy()
    enough = _EXPLAINED * (y @ y)
    Q, order, column = np.empty((len(y), max_terms)), [], 0
    for k in range(max_terms):
        Q[:, k] = q = _orthonormal(design[column], Q[:, :k])
        order.append(column)
        share = q @ residual
        residual -= share * q
        along = design @ q
        products -= share * along
        distance -= along**2
        distance[column] = -np.inf
        free = distance > floor
        if not free.any() or residual @ residual <= enough:
            break
        gains = np.where(free, products**2 / np.where(free, distance, 1.0), -1.0)
        column = int(np.argmax(gains))
    return np.array(order), Q[:, : len(order)]


def lars_order(design, y, max_terms):
    """Order columns by least-angle regression, the first column first.

    Parameters and returns are those of :func:`forward_order`; the other columns are centred on
    the first and scaled to unit norm before they are ordered ([2]_, eq. 2.5 to 2.13).
    """
    first = design[:1] / np.linalg.norm(design[0])
    columns = design - (design @ first.T) @ first
    norms = np.linalg.norm(columns, axis=1)
    usable = norms > np.sqrt(DEPENDENT) * np.linalg.norm(design, axis=1)
    usable[0] = False
    columns[usable] /= norms[usable, None]
    residual = y - (first @ y) @ first
    products = np.where(usable, columns @ residual, 0.0)
    Q, order, enough = first.T, [0], np.sqrt(_EXPLAINED) * np.linalg.norm(y)
    column = int(np.argmax(np.abs(products)))
    while len(order) < max_terms and usable[column] and np.abs(products[column]) > enough:
        q = _orthonormal(columns[column], Q)
        usable[column] = False
        if abs(q @ columns[column]) > np.sqrt(DEPENDENT):
            Q = np.column_stack([Q, q])
            order.append(column)
        products, column = _least_angle_step(columns, products, order[1:], usable)
    return np.array(order), Q


def _least_angle_step(columns, products, active, usable):
    """Move along the equiangular direction until another column is as correlated."""
    largest = np.max(np.abs(products[active]))
    signs = np.sign(products[active])
    weights = np.linalg.solve(columns[active] @ columns[active].T, signs)
    height = 1.0 / np.sqrt(signs @ weights)
    along = columns @ (height * (weights @ columns[active]))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.stack(
            [(largest - products) / (height - along), (largest + products) / (height + along)]
        )
    steps = np.where((steps > 1e-14 * largest) & usable, steps, np.inf).min(axis=0)
    column = int(np.argmin(steps))
    step = min(steps[column], largest / height)
    return products - step * along, column


def _orthonormal(column, Q):
    """Part of a column outside the span of Q, of unit norm (Gram-Schmidt, twice)."""
    q = column - Q @ (Q.T @ column)
    q -= Q @ (Q.T @ q)
    return q / max(np.linalg.norm(q), np.finfo(float).tiny)
