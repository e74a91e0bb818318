"""Nets of texts on dask collections: arrays, Series, bags; passes, lazy answers, refusals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_ext import CausalLanguageModel, LoRAAdapter, TransformerClassifier

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
db = pytest.importorskip("dask.bag")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
pytest.importorskip("torch")
pytest.importorskip("skorch")

TEXTS = np.array(["red apple", "green pear", "red cherry tart", "green apple"] * 6, dtype=object)
COLOURS = np.array(["red", "green"] * 12)
SMALL = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "max_iter": 2, "random_state": 0}
PARTS = 3


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def lazily(array):
    return da.from_array(array, chunks=len(array) // PARTS)


def series(array):
    return dd.from_pandas(pd.Series(array), npartitions=PARTS)


def bag(array):
    return db.from_sequence(list(array), npartitions=PARTS)


def blocks(*arrays):
    return list(zip(*(np.split(array, PARTS) for array in arrays), strict=True))


every_form = pytest.mark.parametrize("form", [lazily, series, bag])


@every_form
def test_a_classifier_takes_the_passes_that_are_promised(form):
    found = TransformerClassifier(**SMALL).fit(form(TEXTS), form(COLOURS))
    by_hand = TransformerClassifier(**SMALL)
    by_hand.partial_fit(TEXTS, COLOURS, classes=["green", "red"])  # the heads are all texts here
    for part in blocks(TEXTS, COLOURS) * 2:
        by_hand.partial_fit(*part)
    assert_array_equal(found.predict_proba(TEXTS), by_hand.predict_proba(TEXTS))


@every_form
@pytest.mark.parametrize("has_completions", [False, True])
def test_a_language_model_takes_the_passes_that_are_promised(form, has_completions):
    data = (TEXTS, COLOURS.astype(object)) if has_completions else (TEXTS,)
    found = CausalLanguageModel(**SMALL).fit(*map(form, data))
    by_hand = CausalLanguageModel(**SMALL).partial_fit(*data)
    for part in blocks(*data) * 2:
        by_hand.partial_fit(*part)
    expected = by_hand.score_samples(*data)
    assert_array_equal(found.score_samples(*data), expected)
    lazy = found.score_samples(*map(form, data))
    assert isinstance(lazy, da.Array)
    assert_allclose(lazy.compute(), expected, rtol=1e-5)


@every_form
def test_a_classifier_answers_lazily(form):
    model = TransformerClassifier(**SMALL).fit(TEXTS, COLOURS)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform"):
        lazy, expected = getattr(model, name)(form(TEXTS)), getattr(model, name)(TEXTS)
        assert isinstance(lazy, da.Array)
        assert lazy.dtype == expected.dtype
        if name == "predict":
            assert_array_equal(lazy.compute(), expected)
        else:
            assert_allclose(lazy.compute(), expected, rtol=1e-4, atol=1e-5)


@every_form
def test_means_over_partitions(form):
    model = CausalLanguageModel(**SMALL).fit(TEXTS)
    weight = np.random.default_rng(0).integers(1, 4, size=len(TEXTS)).astype(float)
    for name in ("score", "perplexity"):
        whole = getattr(model, name)
        assert_allclose(whole(form(TEXTS)), whole(TEXTS), rtol=1e-5)
        weighted = whole(form(TEXTS), sample_weight=lazily(weight))
        assert_allclose(weighted, whole(TEXTS, sample_weight=weight), rtol=1e-5)
    classifier = TransformerClassifier(**SMALL).fit(TEXTS, COLOURS)
    found = classifier.score(lazily(TEXTS), lazily(COLOURS))
    assert found == classifier.score(TEXTS, COLOURS)


def test_frames_of_text_cells():
    frame = pd.DataFrame({"colour": COLOURS, "text": TEXTS})
    lazy = dd.from_pandas(frame, npartitions=PARTS)
    model = TransformerClassifier(**SMALL).fit(lazy[["text"]], lazy["colour"])
    assert model.feature_names_in_.tolist() == ["text"]
    assert_array_equal(model.predict(lazy[["text"]]).compute(), model.predict(frame[["text"]]))


def test_weights_reach_the_partitions():
    weight = np.tile([1.0, 0.0, 2.0], 8)
    found = CausalLanguageModel(**SMALL).fit(lazily(TEXTS), sample_weight=lazily(weight))
    by_hand = CausalLanguageModel(**SMALL).partial_fit(TEXTS, sample_weight=weight)
    for texts, weights in blocks(TEXTS, weight) * 2:
        by_hand.partial_fit(texts, sample_weight=weights)
    assert_array_equal(found.score_samples(TEXTS), by_hand.score_samples(TEXTS))


def test_no_passes_leave_the_net_as_it_starts():
    none = {**SMALL, "max_iter": 0}
    found = TransformerClassifier(**none).fit(lazily(TEXTS), lazily(COLOURS))
    expected = TransformerClassifier(**none).fit(TEXTS, COLOURS)
    assert found.loss_curve_ == []
    assert_array_equal(found.predict_proba(TEXTS), expected.predict_proba(TEXTS))


def test_auto_is_the_number_of_epochs_of_a_fit():
    auto = {**SMALL, "max_iter": "auto"}
    one = CausalLanguageModel(**{**auto, "max_iter": 10}).fit(lazily(TEXTS))
    assert_array_equal(
        CausalLanguageModel(**auto).fit(lazily(TEXTS)).score_samples(TEXTS),
        one.score_samples(TEXTS),
    )


def test_an_adapter_streams_too():
    base = TransformerClassifier(**SMALL).fit(TEXTS, COLOURS)
    adapter = LoRAAdapter.from_fitted(base, r=2, max_iter=2, random_state=0)
    before = base.predict_proba(TEXTS)
    adapter.fit(lazily(TEXTS), lazily(COLOURS[::-1].copy()))
    assert adapter.score(TEXTS, COLOURS[::-1]) > base.score(TEXTS, COLOURS[::-1])
    assert_array_equal(base.predict_proba(TEXTS), before)
    lazy = adapter.predict_proba(lazily(TEXTS)).compute()
    assert_allclose(lazy, adapter.predict_proba(TEXTS), rtol=1e-4, atol=1e-5)


def test_what_cannot_stream_is_refused():
    model = CausalLanguageModel(**SMALL).fit(TEXTS)
    with pytest.raises(TypeError, match="X is a dask collection, but y or sample_weight is a list"):
        model.score_samples(lazily(TEXTS), list(COLOURS))
    with pytest.raises(TypeError, match="X is a dask collection, which cannot be read here"):
        model.generate(lazily(TEXTS))
    with pytest.raises(ValueError, match="validation_set cannot be watched"):
        model.fit(lazily(TEXTS), validation_set=TEXTS)
    with pytest.raises(TypeError, match="text 3"):
        broken = TEXTS.copy()
        broken[3] = b"bytes"
        CausalLanguageModel(**SMALL).fit(lazily(broken))
