"""Polynomial regression in an orthogonal basis."""

from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_ext._dask import is_dask
from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._onnx.export import OnnxExportMixin
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
    check_is_fitted,
)
from sklearn_ext.linear_model._device_fit import DeviceMixin
from sklearn_ext.linear_model._device_rows import namespace_of
from sklearn_ext.linear_model._export import add_fitted
from sklearn_ext.linear_model._fit_rows import fit_rows
from sklearn_ext.linear_model._fitted import from_plain, to_plain
from sklearn_ext.linear_model._polynomial_predictions import PredictionMixin
from sklearn_ext.linear_model._reading import ReadablePolynomialMixin, warn_of_dependent_terms
from sklearn_ext.linear_model._streamed_fit import StreamedFitMixin
from sklearn_ext.linear_model._training_data import check_rows


class PolynomialRegressor(
    DeviceMixin,
    StreamedFitMixin,
    PredictionMixin,
    ReadablePolynomialMixin,
    OnnxExportMixin,
    DocumentationLinkMixin,
    RegressorMixin,
    BaseEstimator,
):
    r"""Polynomial least squares in an orthogonal basis, with its own model choice.

    The model is a polynomial in the columns of X,

    .. math:: f(x) = \sum_{a \in A} c_a \prod_j p_{a_j}(z_j), \qquad
              \min_c \sum_i w_i (y_i - f(x_i))^2 + \alpha \sum_{a \ne 0} g^{|a| - 1} c_a^2 ,

    where every column is mapped to z in [-1, 1] by its training range, the p_k are orthonormal
    polynomials and g = max(4, (n_features + 1) / 2). It is the same model as a pipeline of
    :class:`~sklearn.preprocessing.PolynomialFeatures` and
    :class:`~sklearn.linear_model.LinearRegression`, but no digits are lost to powers of raw
    columns, the expanded table is never held in memory, degree and penalty can be chosen by exact
    leave-one-out scores without a refit, and rows can come in chunks or lie on a cluster.

    Parameters
    ----------
    degree : int or "auto", default=2
        Highest degree, from 1 to 255. "auto" takes the degree from 1 to `max_degree` of the
        largest leave-one-out R². It only looks at degrees that have fewer terms than there are
        rows (any number with a penalty), beyond degree 2 at most 2000 terms, and that cost
        seconds rather than minutes.
    max_degree : int, default=None
        Highest degree that ``degree="auto"`` looks at. None stands for 10; with a `selection`,
        or for a single column, for 25.
    interaction_only : bool, default=False
        Whether to keep only products of different columns, each to the first power.
    truncation : float or "auto", default=1.0
        Exponent q in (0, 1] of the hyperbolic index set: terms with
        :math:`(\sum_j a_j^q)^{1/q}` up to the degree [1]_. 1 keeps all terms of total degree up
        to `degree`; smaller values leave out interactions of many columns. "auto" takes the one
        of 0.5, 0.75 and 1 with the largest leave-one-out R².
    basis : {"legendre", "chebyshev", "monomial"}, default="legendre"
        Univariate polynomials in z. Without a penalty the choice changes nothing but rounding.
        With one, it decides what is penalised; "legendre" penalises the variance that each term
        adds for uniform inputs. Sparse X is always expanded in "monomial" with
        z = x / max|x|, so that zeros stay zeros; `bounds` is not used then.
    bounds : array-like of shape (n_features, 2) or (2,), default=None
        Ranges of the columns that are mapped to [-1, 1], in the columns' units. None takes the
        smallest and largest training value.
    alpha : float or "auto", default=0.0
        Ridge penalty on the coefficients of the orthonormal basis, in [0, inf). The constant is
        free, and the penalty grows g-fold with each total degree: smooth functions have
        coefficients that fall about geometrically, and many columns have many more terms of
        each higher degree. "auto" takes the one of `alphas` with the
        largest leave-one-out R².
    alphas : array-like of shape (n_alphas,), default=None
        Penalties, > 0, that ``alpha="auto"`` chooses from. None stands for two values a decade up
        to 10 times the number of rows (the sum of their weights), from 1e-8 times that number, or
        from where the terms of highest degree are penalised by a thousandth of it.
    selection : {"lars", "forward"}, default=None
        None keeps all terms. The others keep the few terms of a sparse polynomial chaos
        expansion, and with ``degree="auto"`` raise the degree until four in a row did not help.
        They hold all candidate terms (at most 3000) of all rows in memory.

        - "lars" orders terms by least-angle regression, refits, and cuts where the corrected
          leave-one-out error is smallest [1]_.
        - "forward" takes the term that lowers the error of the refit most [5]_, and cuts where
          the 5-fold error of the whole search is smallest. Slower, and the more accurate of the
          two on smooth functions.
    fit_intercept : bool, default=True
        Whether the polynomial has a constant term.
    solver : {"auto", "cholesky", "qr", "dual", "refined"}, default="auto"
        How the least-squares problem is solved; `solver_` says what was used.

        - "cholesky" sums the Gram matrix over blocks of rows and factors it. The fastest; where
          that would leave fewer than 8 digits it falls through to "qr".
        - "qr" folds blocks of rows into the triangle of a QR factorisation [2]_.
        - "dual" solves in the span of the rows through the kernel of the index set, never
          listing its terms: for more terms than rows. Up to degree 3 with ``truncation=1`` its
          cost does not grow with the number of terms.
        - "refined" is "qr" followed by refinement with residuals in double-double arithmetic:
          coefficients to the last digit of float64, at some 50 times the cost.
        - "auto" takes "dual" for more terms than rows, "qr" for small problems and "cholesky"
          for large ones; without a penalty it gives up an ill-conditioned basis for polynomials
          that are orthonormal on the training columns (``basis_ == "empirical"``), and refines
          where that does not help enough.
    extrapolation : {"auto", "polynomial", "linear"}, default="auto"
        What `predict` does with a value outside `bounds_`. "polynomial" evaluates the polynomial,
        which grows like its highest power. "linear" continues every univariate polynomial along
        its tangent at the end of the range: the same model inside, far milder outside. "auto" is
        "linear" where degree and alpha are both "auto", a choice that never saw such values, and
        "polynomial" otherwise.
    compute_loo : bool or "auto", default="auto"
        Whether to compute `loo_score_` where nothing has to be chosen. It costs a second pass
        over the rows; "auto" takes it where ``n_samples * n_terms**2`` is at most 1e9.

    Attributes
    ----------
    coef_ : ndarray of shape (n_terms,) or (n_targets, n_terms)
        Coefficients of the raw monomials ``X ** powers_``, for reading and exporting. Large
        powers of columns far from 0 cancel: a
        :class:`~sklearn_ext.exceptions.PrecisionWarning` says so where it happens, and
        predictions never use these numbers. Absent (an AttributeError says why) where the terms
        are too many to list.
    intercept_ : float or ndarray of shape (n_targets,)
        Constant of the raw polynomial, its value at x = 0.
    powers_ : ndarray of shape (n_terms, n_features)
        Exponents of the raw monomials.
    coef_stderr_ : ndarray of shape (n_terms,) or (n_targets, n_terms)
        Standard errors of `coef_`.
    intercept_stderr_ : float or ndarray of shape (n_targets,)
        Standard errors of `intercept_`.
    basis_coef_ : ndarray of shape (n_terms,) or (n_targets, n_terms)
        Coefficients of the orthonormal basis, in the order of `powers_`; their squares are
        shares of the variance for uniform inputs. Terms left out by `selection` are 0.
    basis_ : str
        Basis that was used.
    degree_ : int
        Degree.
    truncation_ : float
        Exponent of the index set.
    alpha_ : float
        Penalty.
    solver_ : str
        Solver.
    n_terms_ : int
        Number of terms without the constant; with a `selection`, those selected.
    rank_ : int
        Number of terms, without the constant, that the data determine. Where it is below
        `n_terms_` a :class:`~sklearn_ext.exceptions.RankWarning` named the terms.
    loo_score_ : float
        Leave-one-out R² (the mean over targets): the R² of predicting every row by the model of
        all other rows, in closed form [3]_, with the columns' bounds held fixed. -inf where some
        row is supported by no other. With a `selection` the chosen terms are held fixed, so it is
        too good. Absent where it was not computed (see `compute_loo`).
    noise_variance_ : float or ndarray of shape (n_targets,)
        Weighted residual sum of squares over the residual degrees of freedom; nan without any.
    sobol_indices_ : Bunch
        ``first_order`` and ``total_order``, each of shape (n_features,) or
        (n_targets, n_features): shares of the variance of the fitted polynomial due to each
        column alone, and with all its interactions, for independent columns uniform on
        `bounds_` [4]_.
    bounds_ : ndarray of shape (n_features, 2)
        Range of each column that is mapped to [-1, 1].
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X had names that are all strings.

    See Also
    --------
    sklearn.preprocessing.PolynomialFeatures : Expands a table in raw monomials.
    sklearn.linear_model.RidgeCV : Leave-one-out choice of a penalty for a given table.

    Notes
    -----
    Computations are in float64 whatever the dtype of X; predictions have the dtype of X.
    `sample_weight` counts repetitions: weight 2 is the same as the row twice, weight 0 as
    leaving it out, and standard errors count the sum of the weights as samples.

    With a penalty, the data's ranges enter the model through the basis. Where they should not
    (to compare fits on different samples), give `bounds`.

    ``predict`` warns with :class:`~sklearn_ext.exceptions.ExtrapolationWarning` where a row lies
    outside `bounds_` by more than 10 % of the range: polynomials of degree 2 and more grow fast
    there. Where tangents go on instead (see `extrapolation`) it does not warn, and the raw
    monomials describe the model inside `bounds_` only.

    References
    ----------
    .. [1] G. Blatman and B. Sudret, "Adaptive sparse polynomial chaos expansion based on least
       angle regression", J. Comput. Phys. 230(6), 2345-2367, 2011; eq. 13 for the index set,
       section 4 for the selection.
    .. [2] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and
       sequential QR and LU factorizations", SIAM J. Sci. Comput. 34(1), A206-A239, 2012.
    .. [3] D. M. Allen, "The relationship between variable selection and data augmentation and a
       method for prediction", Technometrics 16(1), 125-127, 1974.
    .. [4] B. Sudret, "Global sensitivity analysis using polynomial chaos expansions", Reliab.
       Eng. Syst. Saf. 93(7), 964-979, 2008; eq. 36 to 39.
    .. [5] S. Chen, S. A. Billings and W. Luo, "Orthogonal least squares methods and their
       application to non-linear system identification", Int. J. Control 50(5), 1873-1896, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext import PolynomialRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 10, size=(200, 2))
    >>> y = 3 + 0.5 * X[:, 0] - 0.2 * X[:, 0] * X[:, 1] + rng.normal(scale=0.1, size=200)
    >>> model = PolynomialRegressor(degree=2, interaction_only=True).fit(X, y)
    >>> model.formula(precision=2)
    'y = 3 + 0.5 x0 + 0.00012 x1 - 0.2 x0 x1'
    >>> round(model.loo_score_, 4)
    0.9994
    >>> mean, std = model.predict(X[:1], return_std=True)
    """

    _parameter_constraints = {
        "degree": [Interval(Integral, 1, 255, closed="both"), StrOptions({"auto"})],
        "max_degree": [Interval(Integral, 1, 255, closed="both"), None],
        "interaction_only": ["boolean"],
        "truncation": [Interval(Real, 0, 1, closed="right"), StrOptions({"auto"})],
        "basis": [StrOptions({"legendre", "chebyshev", "monomial"})],
        "bounds": ["array-like", None],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "alphas": ["array-like", None],
        "selection": [StrOptions({"lars", "forward"}), None],
        "fit_intercept": ["boolean"],
        "solver": [StrOptions({"auto", "cholesky", "qr", "dual", "refined"})],
        "extrapolation": [StrOptions({"auto", "polynomial", "linear"})],
        "compute_loo": ["boolean", StrOptions({"auto"})],
    }

    def __init__(
        self,
        degree=2,
        *,
        max_degree=None,
        interaction_only=False,
        truncation=1.0,
        basis="legendre",
        bounds=None,
        alpha=0.0,
        alphas=None,
        selection=None,
        fit_intercept=True,
        solver="auto",
        extrapolation="auto",
        compute_loo="auto",
    ):
        self.degree = degree
        self.max_degree = max_degree
        self.interaction_only = interaction_only
        self.truncation = truncation
        self.basis = basis
        self.bounds = bounds
        self.alpha = alpha
        self.alphas = alphas
        self.selection = selection
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.extrapolation = extrapolation
        self.compute_loo = compute_loo

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the polynomial.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask collection} of shape (n_samples, n_features)
            Training rows. Dask collections are reduced where they lie; only one small matrix
            reaches this process.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; a dask collection where X is one.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, in [0, inf).

        Returns
        -------
        self : PolynomialRegressor
            This estimator.

        Raises
        ------
        ValueError
            If X or y is empty, has NaN, infinity, complex numbers or text, or if they differ in
            length, or if settings contradict each other.
        """
        with all_or_nothing(self):
            if is_dask(X):
                return self._fit_dask(X, y, sample_weight)
            if namespace_of(X) is not None:
                return self._fit_on_device(X, y, sample_weight)
            rows, self._single_target = check_rows(self, X, y, sample_weight, reset=True)
            return self._keep(fit_rows(rows, self.get_params(deep=False)))

    @property
    def loo_score_(self):
        """Leave-one-out R², the mean over targets."""
        check_is_fitted(self)
        if self._fitted.loo is None:
            raise AttributeError(
                "loo_score_ was not computed: it needs all rows at once, and a second pass over "
                "them. Call fit with compute_loo=True."
            )
        return self._fitted.loo

    def _keep(self, fitted):
        """Store a fitted polynomial and tell the user what it had to give up."""
        self._fitted = fitted
        self._monomials = None
        self.basis_ = fitted.terms.family
        self.truncation_ = fitted.terms.truncation
        self.degree_, self.alpha_ = fitted.degree, fitted.alpha
        self.solver_, self.rank_ = fitted.solver, fitted.rank
        self.n_terms_ = fitted.n_terms
        self.bounds_ = fitted.terms.bounds.T.copy()
        noise = fitted.noise_variance
        self.noise_variance_ = float(noise[0]) if self._single_target else noise
        warn_of_dependent_terms(self)
        return self

    def _add_to_graph(self, graph):
        """Add the nodes for :meth:`to_onnx`."""
        X = graph.cast(graph.input("X", (None, self.n_features_in_)), np.float64)
        values = add_fitted(graph.in_double(), X, self, self._goes_on_linearly())
        return {"variable": graph.cast(values, graph.dtype)}

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "_fitted" in state:
            state["_fitted"] = to_plain(state["_fitted"])
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_fitted" in state:
            self._fitted = from_plain(state["_fitted"])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.solver != "refined" and self.selection is None
        tags.target_tags.multi_output = True
        # With dispatch off, arrays of other libraries are copied to numpy as everywhere else.
        tags.array_api_support = get_config()["array_api_dispatch"]
        return tags
