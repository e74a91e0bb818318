"""Principal components of each axis of tensors."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._validation import (
    Interval,
    RealNotInt,
    _fit_context,
    all_or_nothing,
    check_is_fitted,
    validate_data,
    with_callbacks,
)
from sklearn_ext.preprocessing._multilinear import (
    check_ranks,
    find_bases,
    project,
    rank_for_energy,
    scaled_to_one,
    shape_of,
)
from sklearn_ext.preprocessing._table_output import TableOutputMixin

__all__ = ["MultilinearPCA"]


def _is_flat(estimator):
    return estimator.flatten


def _sizes(bases):
    return tuple(len(basis) for basis in bases)


class MultilinearPCA(
    DocumentationLinkMixin,
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TableOutputMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Reduce tensors axis by axis: principal components of time, of channels, and so on.

    A sample of shape (n_timesteps, n_channels) is written as a small core in bases of its axes,
    each with orthonormal directions. That needs far fewer numbers than PCA of the flattened
    samples, whose every component is as large as a sample, and can be learned from far fewer
    samples. For a matrix (n_samples, n_features) it is PCA.

    Parameters
    ----------
    n_components : int, float, sequence of int or None, default=0.95
        A float in (0, 1) is the share of the variation that each axis keeps by itself. An int is
        the number of components of each axis (all of an axis that has fewer), a sequence has one
        for each axis of a sample. None keeps all.
    flatten : bool, default=True
        Whether `transform` returns a matrix for scikit-learn's estimators, in C order of the
        core, or the tensor of cores, whose axes are still time and channels.
    max_iter : int, default=20
        Most rounds of alternating refinement; 0 takes the truncated HOSVD as it is.
    tol : float, default=1e-6
        A round that gains less than this share of the total variation is the last.

    Attributes
    ----------
    components_ : list of ndarray of shape (n_components_k, size_k)
        Directions of each axis of a sample, as orthonormal rows.
    n_components_ : tuple of int
        Number of components of each axis.
    mean_ : ndarray of the shape of a sample
        Mean over the training samples.
    explained_variance_ratio_ : float
        Share of the total variation that the cores hold.
    axis_variance_ratios_ : list of ndarray of shape (size_k,)
        Share of the variation along each direction of each axis, before any other axis is
        reduced, largest first. The sum of the first is what a float `n_components` is about.
    n_iter_ : int
        Rounds of refinement.
    n_features_in_ : int
        Size of the last axis: columns of a matrix, channels of a 3-tensor.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where fit saw a data frame.

    See Also
    --------
    multilinear_rank : Number of components along each axis of one tensor.
    sklearn.decomposition.PCA : Components of flat samples.

    Notes
    -----
    With samples centred, the bases start from the leading eigenvectors of the scatter of each
    axis (truncated HOSVD [1]_) and are refined in turn, each given the others, until the captured
    variation grows no more ([2]_, algorithm of Fig. 3). It is a local optimum: the variation
    captured is never below that of the start. Signs are fixed by the entry of largest magnitude.
    All is computed in double precision; what is put out has the dtype of X.

    References
    ----------
    .. [1] L. De Lathauwer, B. De Moor, J. Vandewalle, "A multilinear singular value
       decomposition", SIAM J. Matrix Anal. Appl. 21(4), 1253-1278, 2000.
    .. [2] H. Lu, K. N. Plataniotis, A. N. Venetsanopoulos, "MPCA: Multilinear principal
       component analysis of tensor objects", IEEE Trans. Neural Networks 19(1), 18-39, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.preprocessing import MultilinearPCA
    >>> rng = np.random.default_rng(0)
    >>> time = np.sin(np.linspace(0.0, 3.0, 50))
    >>> X = np.einsum("n,t,c->ntc", rng.normal(size=100), time, [1.0, 2.0, -1.0])
    >>> X += 0.01 * rng.normal(size=X.shape)
    >>> pca = MultilinearPCA(0.99).fit(X)
    >>> pca.n_components_, round(pca.explained_variance_ratio_, 3)
    ((1, 1), 1.0)
    >>> pca.transform(X).shape, pca.inverse_transform(pca.transform(X)).shape
    ((100, 1), (100, 50, 3))
    """

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            "array-like",
            None,
        ],
        "flatten": ["boolean"],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, n_components=0.95, *, flatten=True, max_iter=20, tol=1e-6):
        self.n_components = n_components
        self.flatten = flatten
        self.max_iter = max_iter
        self.tol = tol

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the components of each axis.

        Parameters
        ----------
        X : array-like of shape (n_samples, size_1, ..., size_n)
            At least two tensors of one shape, without NaN.
        y : None, default=None
            Not used.

        Returns
        -------
        self : object
            This estimator.
        """
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with all_or_nothing(self):
            self._fit_checked(context, X, y)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_checked(self, context, X, y):
        X = self._read(X, reset=True).astype(np.float64)
        self.mean_ = X.mean(axis=0)
        found = find_bases(
            scaled_to_one(X - self.mean_),
            partial(self._choose_ranks, sizes=X.shape[1:]),
            max_iter=self.max_iter,
            tol=self.tol,
            after_round=partial(self._report_round, context, X, y),
        )
        self.components_ = found.bases
        self.n_components_ = _sizes(found.bases)
        total = found.total if found.total > 0 else 1.0  # constant samples
        self.explained_variance_ratio_ = found.captured[-1] / total
        self.axis_variance_ratios_ = [values / total for values in found.spectra]
        self.n_iter_ = len(found.captured) - 1

    def _report_round(self, context, X, y, bases):
        """Tell callbacks of a round; return whether one wants to stop."""
        task = context.subcontext(task_name="round")
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        return task.call_on_fit_task_end(
            estimator=self,
            X=X,
            y=y,
            reconstruction_attributes={
                "mean_": self.mean_,
                "components_": list(bases),
                "n_components_": _sizes(bases),
            },
        )

    def transform(self, X):
        """Write samples in the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, size_1, ..., size_n)
            Tensors of the shape seen in fit.

        Returns
        -------
        cores : ndarray of shape (n_samples, product of `n_components_`) or (n_samples, P_1, \
                ..., P_n)
            Flat or as tensors, of the dtype of X.
        """
        check_is_fitted(self)
        X = self._read(X)
        cores = project(X - self.mean_, self.components_).astype(X.dtype)
        return cores.reshape(len(X), -1) if self.flatten else cores

    def inverse_transform(self, X):
        """Put samples together from their components.

        Parameters
        ----------
        X : array-like of shape (n_samples, product of `n_components_`) or (n_samples, P_1, \
                ..., P_n)
            Flat cores or tensors of cores.

        Returns
        -------
        samples : ndarray of shape (n_samples, size_1, ..., size_n)
            Of the dtype of X; the nearest tensors that the components can write.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True)
        if X.shape[1:] not in (self.n_components_, (self._n_features_out,)):
            raise ValueError(
                f"X must have the shape (n_samples, {self._n_features_out}) or (n_samples, "
                f"{', '.join(map(str, self.n_components_))}), got {X.shape}."
            )
        cores = X.reshape(-1, *self.n_components_)
        samples = project(cores, [basis.T for basis in self.components_]) + self.mean_
        return samples.astype(X.dtype)

    @available_if(_is_flat)
    def get_feature_names_out(self, input_features=None):
        """Name the columns of flat cores: multilinearpca0, multilinearpca1, ...

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        names : ndarray of shape (product of `n_components_`,) of str
            Names. With `flatten=False` there are no columns, and this method is absent.
        """
        return super().get_feature_names_out(input_features)

    def _choose_ranks(self, spectra, sizes):
        wanted = self.n_components
        if isinstance(wanted, Real) and not isinstance(wanted, Integral):
            return [rank_for_energy(values, float(wanted)) for values in spectra]
        return check_ranks(wanted, sizes)

    def _read(self, X, reset=False):
        """Read tensors; scikit-learn's books are kept by the last axis."""
        checks = {"dtype": [np.float64, np.float32], "ensure_min_samples": 2 if reset else 1}
        shape = shape_of(X) if isinstance(X, list | tuple) else getattr(X, "shape", ())
        if len(shape) <= 2:
            X = validate_data(self, X, reset=reset, **checks)
        else:
            X = check_array(X, allow_nd=True, estimator=self, input_name="X", **checks)
        if reset:
            self._keep_books(X)
        elif X.shape[1:] != self.mean_.shape:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but {type(self).__name__} is expecting "
                f"samples of shape {self.mean_.shape} as input."
            )
        return X

    def _keep_books(self, X):
        if X.ndim > 2:
            if 0 in X.shape:
                raise ValueError(f"X must have no empty axis, got shape {X.shape}.")
            self.n_features_in_ = X.shape[-1]
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_  # of an earlier fit on a data frame

    @property
    def _n_features_out(self):
        return int(np.prod(self.n_components_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
