"""TransformerClassifier: texts in, labels and pooled states out, whatever else is in the batch."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.feature_selection import f_classif
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklearn_ext import TransformerClassifier
from sklearn_ext.neural_network._transformer import told_by_length

COLOURS = ["red", "green", "blue"]
THINGS = ["apple", "cap", "car of my old uncle", "x"]
TEXTS = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS] * 2
LABELS = np.array([text.split()[1] for text in TEXTS])
SMALL = {"hidden_size": 16, "num_heads": 2, "max_iter": 3, "random_state": 0}


def fitted(X=TEXTS, y=LABELS, sample_weight=None, **params):
    return TransformerClassifier(**SMALL | params).fit(X, y, sample_weight=sample_weight)


@torch.no_grad()
def by_hand(model, text):
    """Pooled state and probabilities of one text, without padding or batches."""
    module, tokenizer = model.net_.module_, model.tokenizer_
    tokens = [tokenizer.start, *tokenizer.encode([text])[0]][: model.max_length]
    inside = torch.ones(1, len(tokens), dtype=torch.bool)
    states = module.encoder(torch.tensor([tokens]), inside)[0]
    pooled = states.mean(0) if model.pooling == "mean" else states[0]
    return pooled.numpy(), module.head(pooled).softmax(-1).numpy()


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_outputs_are_those_of_single_texts(pooling, positions):
    model = fitted(pooling=pooling, positions=positions, max_length=16, precision="float64")
    pairs = [by_hand(model, text) for text in [*TEXTS, ""]]
    assert_allclose(model.transform([*TEXTS, ""]), [pair[0] for pair in pairs], rtol=1e-10)
    assert_allclose(model.predict_proba([*TEXTS, ""]), [pair[1] for pair in pairs], rtol=1e-10)


def test_it_learns_from_texts():
    model = TransformerClassifier(random_state=0).fit(TEXTS, LABELS)
    unseen = ["a red boat", "a green book", "a blue tree"]
    assert model.predict(unseen).tolist() == COLOURS
    assert model.score(TEXTS, LABELS) == 1.0


def test_texts_are_cut_at_max_length():
    model = fitted(max_length=6)  # the start and five bytes
    found = model.predict_proba(["a red car", "a redder car", "a red"])
    assert_array_equal(found[0], found[1])
    assert_allclose(found[0], found[2], rtol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "numbers", "multilabel"])
def test_labels_of_any_kind(kind):
    y = {
        "binary": LABELS == "red",
        "numbers": np.array([COLOURS.index(label) * 10 - 5 for label in LABELS]),
        "multilabel": np.array(
            [[label == "red", "car" in text] for text, label in zip(TEXTS, LABELS, strict=True)]
        ).astype(int),
    }[kind]
    model = fitted(y=y, max_iter=60, learning_rate_init=0.01)
    assert_array_equal(model.predict(TEXTS), y)


def test_weights_are_repetitions_and_classes_weigh():
    settings = {"precision": "float64", "dropout": 0.0}
    weights = np.arange(len(TEXTS)) % 3
    weighted = fitted(sample_weight=weights, **settings)
    repeated = fitted(np.repeat(TEXTS, weights).tolist(), np.repeat(LABELS, weights), **settings)
    assert_allclose(weighted.predict_proba(TEXTS), repeated.predict_proba(TEXTS), rtol=1e-7)
    by_class = fitted(class_weight={"red": 2.0, "green": 1.0, "blue": 0.5}, **settings)
    given = np.select([LABELS == "red", LABELS == "green"], [2.0, 1.0], 0.5)
    by_row = fitted(sample_weight=given, **settings)
    assert_array_equal(by_class.predict_proba(TEXTS), by_row.predict_proba(TEXTS))


@pytest.mark.parametrize("params", [{}, {"batch_size": 5, "dropout": 0.3}])
def test_same_seed_same_bits_and_generators_are_left_alone(params):
    state = torch.get_rng_state()
    first, second = fitted(**params), fitted(**params)
    assert_array_equal(first.predict_proba(TEXTS), second.predict_proba(TEXTS))
    assert torch.equal(state, torch.get_rng_state())
    returned = pickle.loads(pickle.dumps(first))
    assert_array_equal(returned.transform(TEXTS), first.transform(TEXTS))


def test_validation_texts_decide_which_epoch_is_kept():
    model = TransformerClassifier(**SMALL | {"max_iter": 5})
    model.fit(TEXTS, LABELS, validation_set=(TEXTS[:7], LABELS[:7]))
    held = -np.log(model.predict_proba(TEXTS[:7]))
    rows = np.searchsorted(model.classes_, LABELS[:7])
    assert held[np.arange(7), rows].mean() == pytest.approx(model.best_loss_, rel=1e-5)
    early = fitted(early_stopping=True, validation_fraction=0.3, max_iter=4)
    assert len(early.validation_scores_) == early.n_iter_


def test_partial_fit_knows_all_classes():
    model = TransformerClassifier(**SMALL)
    model.partial_fit(TEXTS[:4], LABELS[:4], classes=COLOURS)
    assert model.predict_proba(TEXTS).shape == (24, 3)
    assert model.partial_fit(TEXTS, LABELS).classes_.tolist() == sorted(COLOURS)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        TransformerClassifier().partial_fit(TEXTS, LABELS)


def test_tables_are_read_as_texts():
    X, y = make_classification(80, 4, n_informative=3, n_redundant=0, random_state=0)
    model = TransformerClassifier(random_state=0).fit(X, y)
    assert model.score(X, y) > 0.8
    texts = [" ".join(f"{value:.3g}" for value in row) for row in X]
    assert_allclose(model.predict_proba(texts), model.predict_proba(X), rtol=1e-5)
    with pytest.raises(ValueError, match="X is a table, but TransformerClassifier was fitted on"):
        fitted().predict(X)


def test_scikit_learn_goes_around_it():
    scores = cross_val_score(TransformerClassifier(**SMALL), TEXTS, LABELS, cv=2)
    assert scores.shape == (2,)
    pipeline = make_pipeline(TransformerClassifier(**SMALL)).fit(TEXTS, LABELS)
    assert pipeline.transform(TEXTS).shape == (24, 16)
    names = pipeline.get_feature_names_out()
    assert (names[0], len(names)) == ("transformerclassifier0", 16)
    assert clone(pipeline).get_params()["transformerclassifier__hidden_size"] == 16


def test_bpe_serves_it_too():
    pytest.importorskip("tokenizers")
    model = fitted(tokenizer="bpe", vocab_size=280)
    assert_allclose(
        pickle.loads(pickle.dumps(model)).predict_proba(TEXTS), model.predict_proba(TEXTS)
    )


@pytest.mark.parametrize("n_classes", [2, 5])
def test_what_lengths_tell_is_the_adjusted_correlation_ratio(n_classes):
    rng = np.random.default_rng(n_classes)
    labels = np.arange(60) % n_classes
    lengths = 1 + rng.poisson(5 + 2 * labels)
    (F,), _ = f_classif(np.log(lengths)[:, None], labels)
    free, between = 60 - n_classes, F * (n_classes - 1)
    ratio = between / (between + free)
    assert told_by_length(lengths, labels) == pytest.approx(1 - (1 - ratio) * 59 / free)
    assert told_by_length(np.full(60, 7), labels) == 0.0
    assert told_by_length(np.arange(1, 61), np.arange(60)) == 0.0


class Lengths(Callback):
    """Keeps the lengths of each batch."""

    def initialize(self):
        self.seen = []
        return self

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.seen.append(batch[0]["lengths"].reshape(-1).numpy())


@pytest.mark.parametrize("told", [False, True])
def test_batches_are_of_one_length_unless_lengths_tell_the_class(told):
    lengths = np.array([2, 3, 4, 20, 21, 22, 60, 61] * 20)
    labels = np.where(lengths > 10, "long", "short") if told else np.arange(160) // 80
    model = TransformerClassifier(**SMALL, batch_size=16, callbacks=[Lengths()])
    model.fit(["x" * length for length in lengths], labels)
    found = next(c.seen for _, c in model.net_.callbacks_ if isinstance(c, Lengths))
    spread = np.mean([batch.max() - batch.min() for batch in found])
    assert spread > 50 if told else spread < 25
