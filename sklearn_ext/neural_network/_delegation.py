"""Methods that a meta-estimator has because its base has them."""

from sklearn.utils.metaestimators import available_if

from sklearn_ext.neural_network._adapter_state import MissingBase

__all__ = ["DelegatedMethods", "base_has"]

_OF_SAMPLES = """{summary}

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        *args, **params : object
            Further arguments of the base's `{name}`.

        Returns
        -------
        {returned}
            What the base's `{name}` gives.
        """


def base_has(name):
    """Make a check for `available_if`: whether the base, or what it became, has an attribute."""

    def check(adapter):
        found = adapter._known_estimator()
        # What a base that was not stored can do is not known; it says so when it is called.
        return isinstance(found, MissingBase) or hasattr(found, name)

    return check


def _of_samples(name, summary, returned):
    """Make the method of samples that the base has under this name."""

    def method(self, X, *args, **params):
        return getattr(self._fitted_estimator(), name)(X, *args, **params)

    method.__name__ = name
    method.__qualname__ = f"DelegatedMethods.{name}"
    method.__doc__ = _OF_SAMPLES.format(name=name, summary=summary, returned=returned)
    return available_if(base_has(name))(method)


class DelegatedMethods:
    """What an adapter does by its adapted estimator.

    A subclass has ``_known_estimator()``, the adapted estimator or what is there before, and
    ``_fitted_estimator()``, the adapted estimator or an error.
    """

    # What a base's `predict` may be asked for, which scikit-learn cannot read off `**params`.
    __metadata_request__predict = {"return_std": None}

    @available_if(base_has("predict"))
    def predict(self, X, **params):
        """Predict by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        **params : dict
            Parameters of the base's `predict`.

        Returns
        -------
        y : ndarray
            What the base's `predict` gives.
        """
        return self._fitted_estimator().predict(X, **params)

    predict_proba = _of_samples("predict_proba", "Predict probabilities.", "probability : ndarray")
    predict_log_proba = _of_samples(
        "predict_log_proba", "Predict logarithms of probabilities.", "log_probability : ndarray"
    )
    decision_function = _of_samples(
        "decision_function", "Compute decision values.", "decision : ndarray"
    )
    score_samples = _of_samples(
        "score_samples", "Compute the log-likelihood of each sample.", "log_likelihood : ndarray"
    )
    perplexity = _of_samples("perplexity", "Compute the perplexity of samples.", "value : float")
    transform = _of_samples("transform", "Transform samples.", "X_transformed : ndarray")

    @available_if(base_has("transform"))
    def fit_transform(self, X, y=None, **fit_params):
        """Fit the adapter and transform the same samples.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        y : array-like, default=None
            Targets.
        **fit_params : dict
            Further arguments of `fit`.

        Returns
        -------
        X_transformed : ndarray
            What `transform` gives after `fit`.
        """
        return self.fit(X, y, **fit_params).transform(X)

    @available_if(base_has("set_output"))
    def set_output(self, *, transform=None):
        """Choose the container of what `transform` gives.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Container; None changes nothing.

        Returns
        -------
        self : object
            The adapter.
        """
        if transform is not None:
            # The name is scikit-learn's: `clone` keeps what lies there.
            self._sklearn_output_config = {"transform": transform}
        if hasattr(self, "estimator_"):
            self.estimator_.set_output(transform=transform)
        return self

    @available_if(base_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features=None):
        """Name the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str
            What the base's `get_feature_names_out` gives.
        """
        return self._fitted_estimator().get_feature_names_out(input_features)

    @available_if(base_has("sample"))
    def sample(self, *args, **params):
        """Draw samples from the adapted estimator.

        Parameters
        ----------
        *args, **params : object
            Arguments of the base's `sample`.

        Returns
        -------
        samples : object
            What the base's `sample` gives.
        """
        return self._fitted_estimator().sample(*args, **params)

    @available_if(base_has("generate"))
    def generate(self, prompts, **params):
        """Go on from prompts.

        Parameters
        ----------
        prompts : array-like of str
            Beginnings of texts, in a form that `fit` takes.
        **params : object
            Further arguments of the base's `generate`.

        Returns
        -------
        completions : ndarray
            What the base's `generate` gives.
        """
        return self._fitted_estimator().generate(prompts, **params)

    @available_if(base_has("stream"))
    def stream(self):
        """Follow sequences while they grow, as the base does.

        Returns
        -------
        stream : SequenceStream
            At the beginning of all its sequences.
        """
        return self._fitted_estimator().stream()

    @available_if(base_has("_state_gradients"))
    def _state_gradients(self, X, y, *, initial):
        """Norms of gradients for :func:`sklearn_ext.inspection.gradient_flow`, as the base has."""
        if initial:
            raise ValueError(
                "An adapter begins with the weights of its base. Pass the base to measure these."
            )
        return self._fitted_estimator()._state_gradients(X, y, initial=False)

    @available_if(base_has("score"))
    def score(self, X, y=None, sample_weight=None):
        """Score the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        y : array-like, default=None
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            What the base's `score` gives.
        """
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self._fitted_estimator().score(X, y, **weights)
