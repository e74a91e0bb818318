"""Limited-memory BFGS: all rows in every step, and no learning rate."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from sklearn_ext._torch.optimizers import Optimizer

__all__ = ["LBFGS"]

Tensor = torch.Tensor


class _Over(Exception):
    """Leaves the minimiser, the parameters staying as they are."""


class LBFGS(Optimizer):
    r"""Limited-memory BFGS [1]_ by :func:`scipy.optimize.minimize`, in double precision.

    It minimises a loss with a penalty of the weights W of each group,

    .. math:: L + \frac{\lambda}{2} \lVert W \rVert^2

    Parameters
    ----------
    params : iterable of torch.Tensor or of dict
        Parameters, or groups of them with their own "weight_decay".
    weight_decay : float, default=0.0
        λ, in [0, inf).
    tol : float, default=0.0
        The run ends where no component of the gradient is larger.
    max_fun : int, default=15000
        Largest number of evaluations of the loss.

    References
    ----------
    .. [1] R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound
       constrained optimization", SIAM J. Sci. Comput. 16(5), 1190-1208, 1995.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.quasi_newton import LBFGS
    >>> weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    >>> def evaluate():
    ...     error = weight.detach() - torch.tensor([1.0, 2.0])
    ...     return 0.5 * error.square().sum(), [error]
    >>> LBFGS([weight], weight_decay=1.0).minimize(evaluate, 10, lambda loss: False)
    >>> weight.detach()
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """

    _slots = ()

    def __init__(
        self,
        params: Iterable[Any],
        weight_decay: float = 0.0,
        tol: float = 0.0,
        max_fun: int = 15_000,
    ) -> None:
        super().__init__(params, 1.0, weight_decay)
        self.tol, self.max_fun = tol, max_fun

    def minimize(
        self,
        evaluate: Callable[[], tuple[Tensor, list[Tensor]]],
        max_iter: int,
        on_iteration: Callable[[float], bool],
    ) -> None:
        """Move the parameters to a minimum.

        Parameters
        ----------
        evaluate : callable
            Gives the loss, a scalar, and its gradients by all parameters as they are now.
        max_iter : int
            Largest number of iterations.
        on_iteration : callable
            Called with the loss, penalty excluded, behind every iteration, at least once; a true
            value ends the run.
        """
        seen, n_told = [0.0], [0]  # last loss, and iterations so far
        trained = [parameter for parameter in self.parameters if parameter.requires_grad]
        decays = np.concatenate([np.full(p.numel(), self._decay_of(p)) for p in trained])

        def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
            _put(trained, point)
            loss, gradients = evaluate()
            seen[0] = float(loss)
            penalty = 0.5 * float(decays @ point**2)
            return seen[0] + penalty, _joined(gradients) + decays * point

        def callback(point: np.ndarray) -> None:  # the accepted point is the last one evaluated
            n_told[0] += 1
            if on_iteration(seen[0]):
                raise _Over

        options = {"maxiter": max_iter, "maxfun": self.max_fun, "gtol": self.tol}
        settings = {"method": "L-BFGS-B", "jac": True, "options": options, "callback": callback}
        try:
            _put(trained, minimize(objective, _joined(trained), **settings).x)
        except _Over:
            return
        if not n_told[0]:  # there was nothing to do
            on_iteration(float(evaluate()[0]))

    def _decay_of(self, parameter: Tensor) -> float:
        owners = (g for g in self.param_groups if any(p is parameter for p in g["params"]))
        return float(next(owners)["weight_decay"])


def _joined(tensors: Sequence[Tensor]) -> np.ndarray:
    """Put the numbers of all tensors into one vector."""
    parts = [tensor.detach().cpu().double().numpy().ravel() for tensor in tensors]
    return np.concatenate(parts)


@torch.no_grad()
def _put(parameters: Sequence[Tensor], point: np.ndarray) -> None:
    """Put the numbers of a vector into parameters."""
    parts = torch.from_numpy(np.array(point)).split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view_as(parameter))
