"""Raw coefficients, names and formulas against numpy and PolynomialFeatures."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.polynomial import Legendre, Polynomial
from numpy.testing import assert_allclose
from sklearn.preprocessing import PolynomialFeatures

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import PrecisionWarning
from sklearn_ext.linear_model._index_sets import downward_closure, hyperbolic_powers
from sklearn_ext.linear_model._monomials import formula_text, monomial_form, term_names
from sklearn_ext.linear_model._polynomial_basis import make_basis


def fitted(degree=3, n_features=2, shift=0.0, **settings):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 2, size=(80, n_features)) + shift
    y = rng.normal(size=80)
    return PolynomialRegressor(degree, **settings).fit(X, y), X


def raw_values(model, X):
    terms = np.prod(X[:, None, :] ** model.powers_.astype(float), axis=2)
    return terms @ model.coef_ + model.intercept_


def test_one_column_is_numpys_legendre_series():
    coefficients = np.random.default_rng(0).normal(size=7)
    basis = make_basis("legendre", np.array([[2.0], [5.0]]), hyperbolic_powers(1, 6))
    form = monomial_form(basis, coefficients[:, None])
    series = Legendre(coefficients * np.sqrt(2 * np.arange(7) + 1), domain=[2, 5])
    wanted = series.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef
    assert_allclose(form["coef"][:, 0], wanted, rtol=1e-10)


def test_raw_coefficients_are_rounded_once():
    # Exact sums over the stored double coefficients, for a column far from zero.
    basis = make_basis("legendre", np.array([[1000.0], [1001.0]]), hyperbolic_powers(1, 3))
    coefficients = np.random.default_rng(0).normal(size=4)
    got = monomial_form(basis, coefficients[:, None])["coef"][:, 0]
    scale, center = Fraction(float(basis.scale[0])), Fraction(float(basis.center[0]))
    before, now = [Fraction(0)] * 4, [Fraction(1), *[Fraction(0)] * 3]
    wanted = [Fraction(float(coefficients[0])) * v for v in now]
    for k in range(3):
        slope, shift, back = (Fraction(v) for v in basis.recurrence[:, 0, k].tolist())
        raised = [Fraction(0), *now[:-1]]
        grown = [
            slope * scale * (r - center * v) + shift * v - back * b
            for r, v, b in zip(raised, now, before, strict=True)
        ]
        before, now = now, grown
        c = Fraction(float(coefficients[k + 1]))
        wanted = [w + c * v for w, v in zip(wanted, now, strict=True)]
    assert_allclose(got, [float(w) for w in wanted], rtol=4e-16)


@pytest.mark.parametrize("solver", ["qr", "cholesky", "refined", "dual"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_raw_coefficients_give_the_predictions(basis, fit_intercept, solver):
    model, X = fitted(4, basis=basis, fit_intercept=fit_intercept, solver=solver)
    assert_allclose(raw_values(model, X), model.predict(X), atol=1e-10)
    assert fit_intercept or model.intercept_ == 0


def test_truncated_sets_list_everything_below_their_terms():
    model, X = fitted(6, truncation=0.5, solver="qr")
    np.testing.assert_array_equal(
        downward_closure(model.powers_.astype(np.uint8))[1:], model.powers_
    )
    assert_allclose(raw_values(model, X), model.predict(X), atol=1e-10)


def test_a_dual_fit_of_more_terms_than_rows_lists_them_afterwards():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(30, 6))
    model = PolynomialRegressor(3, alpha=0.1).fit(X, rng.normal(size=30))
    assert model.solver_ == "dual"
    assert model.coef_.shape == (model.n_terms_,) == (83,)
    assert_allclose(raw_values(model, X), model.predict(X), atol=1e-10)


def test_cancelling_raw_coefficients_are_told_and_predictions_kept():
    rng = np.random.default_rng(0)
    x = rng.uniform(1e4, 1e4 + 1, size=100)
    y = (x - 1e4) ** 4
    model = PolynomialRegressor(4).fit(x[:, None], y)
    with pytest.warns(PrecisionWarning, match="digits of the raw form can be relied on"):
        model.coef_  # noqa: B018
    assert_allclose(model.predict(x[:, None]), y, atol=1e-10)


def test_the_warning_comes_once_a_fit():
    x = np.linspace(1e5, 1e5 + 1, 50)[:, None]
    model = PolynomialRegressor(3).fit(x, np.sin(x[:, 0]))
    with pytest.warns(PrecisionWarning):
        model.coef_  # noqa: B018
    model.powers_, model.intercept_, model.coef_  # noqa: B018 - a second one would be an error


def test_benign_raw_coefficients_are_not_warned_of():
    model, _ = fitted(5)
    assert np.all(np.isfinite(model.coef_))


def test_refined_raw_coefficients_need_no_warning():
    x = np.linspace(1e5, 1e5 + 1, 50)[:, None]
    model = PolynomialRegressor(3, solver="refined").fit(x, np.sin(x[:, 0]))
    assert np.all(np.isfinite(model.coef_))


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("names", [None, ["length", "mass", "a b"]])
def test_terms_are_named_as_polynomial_features_names_them(names, interaction_only):
    model, X = fitted(3, 3, interaction_only=interaction_only)
    reference = PolynomialFeatures(3, include_bias=False, interaction_only=interaction_only)
    reference.fit(X)
    got, wanted = model.get_term_names(names), reference.get_feature_names_out(names)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(model.powers_, reference.powers_)


def test_term_names_refuse_a_wrong_number_of_columns():
    with pytest.raises(ValueError, match="input_features"):
        fitted()[0].get_term_names(["only one"])


def test_the_constant_is_named_one():
    assert term_names(np.array([[0, 0], [1, 2]]), ["a", "b"]) == ["1", "a b^2"]


def text_value(text, names, row):
    """Evaluate "y = 1.5 + 2 x0 x1^2 - x0" by reading it term by term."""
    tokens = text.removeprefix("y = ").split()
    value, sign, term = 0.0, 1.0, 1.0
    numbers = dict(zip(names, row, strict=True))
    for token in tokens:
        if token in "+-":
            value, sign, term = value + sign * term, 1.0 if token == "+" else -1.0, 1.0
        else:
            name, _, power = token.partition("^")
            term *= numbers[name] ** int(power or 1) if name in numbers else float(token)
    return value + sign * term


def test_the_text_evaluates_to_the_prediction():
    model, X = fitted(3)
    text = model.formula(precision=17)
    for row, wanted in zip(X[:5], model.predict(X[:5]), strict=True):
        assert_allclose(text_value(text, ["x0", "x1"], row), wanted, rtol=1e-10)


def test_the_text_is_short():
    X = np.arange(6.0)[:, None]
    model = PolynomialRegressor(2, fit_intercept=False).fit(X, 3 * X[:, 0] - 0.25 * X[:, 0] ** 2)
    assert model.formula(precision=3, input_features=["t"]) == "y = 3 t - 0.25 t^2"


@pytest.mark.parametrize(
    ("coefficients", "text"),
    [
        ([0.0, 0.0], "y = 0"),
        ([0.0, -2.0], "y = -2 x"),
        ([-1.5, 0.0], "y = -1.5"),
        ([1e-9, 1e20], "y = 1e-09 + 1e+20 x"),
    ],
)
def test_signs_and_zeros_in_the_text(coefficients, text):
    assert formula_text(coefficients, ["1", "x"], precision=4) == text


def test_the_expression_evaluates_to_the_prediction():
    sympy = pytest.importorskip("sympy")
    model, X = fitted(3)
    expression = model.formula(format="sympy")
    call = sympy.lambdify(sympy.symbols("x0 x1"), expression)
    assert_allclose(call(*X.T), model.predict(X), rtol=1e-9, atol=1e-10)


def test_the_expression_is_in_symbols_named_like_the_columns():
    pytest.importorskip("sympy")
    model, _ = fitted(2)
    expression = model.formula(format="sympy", input_features=["u", "v"])
    assert {str(s) for s in expression.free_symbols} == {"u", "v"}


def test_one_formula_for_each_target():
    rng = np.random.default_rng(0)
    X, Y = rng.uniform(size=(20, 1)), rng.normal(size=(20, 2))
    both = PolynomialRegressor(2).fit(X, Y).formula()
    assert both == [PolynomialRegressor(2).fit(X, Y[:, k]).formula() for k in range(2)]


def test_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format must be 'text' or 'sympy', got 'latex'"):
        fitted()[0].formula(format="latex")
